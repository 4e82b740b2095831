"""Each row that the how-to shows, and one of another package, goes through distill, attack and evaluate."""

import json
import re
import shutil
import sys
from importlib.metadata import EntryPoint

import pytest
import torch
import yaml
from safetensors.torch import load_file

from hfi_core import plugins
from hfi_core.errors import UserError
from hfi_core.params import parse_params
from tests.support.loop import run_through, units
from tests.support.other_model import build_other_model
from tests.support.projects import REPOSITORY, Project, default_raw, small_raw, write_raw

PAGE = (REPOSITORY / "docs/how-to/put-a-technique-beside-ours.md").read_text()
ROWS = {
    row: settings
    for fragment in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for row, settings in yaml.safe_load(fragment)["removals"].items()
}
SHORT = {"steps": 2, "batch": 2, "rollouts": 2, "rollout_steps": 2, "reuse": 1, "pictures": 2, "rounds": 1}
WIDE = {"esd-u": ROWS["esd-x-token"] | {"variant": "u", "condition": "text", "preserved": ["a boat"]}}


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory):
    """The example of the page as a module, and an entry point that names it."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    folder = tmp_path_factory.mktemp("package")
    (folder / "their_projection.py").write_text(code)
    (folder / "broken_projection.py").write_text("import no_such_module")
    (folder / "bare_removal.py").write_text(
        "from typing import Literal\nfrom hfi_core.params import RegisteredRemoval\n"
        "class Bare(RegisteredRemoval):\n    method: Literal['bare']\n"
    )
    points = [
        EntryPoint("bare", "bare_removal:Bare", plugins.REMOVAL_GROUP),
        EntryPoint("projection", "their_projection:Projection", plugins.REMOVAL_GROUP),
        EntryPoint("broken", "broken_projection:Projection", plugins.REMOVAL_GROUP),
        EntryPoint("plain", "their_projection:Literal", plugins.REMOVAL_GROUP),
        EntryPoint("sdd", "their_projection:Projection", plugins.REMOVAL_GROUP),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(plugins, "entry_points", lambda group: points if group == "hfi.removals" else [])
        yield
    for module in ("their_projection", "bare_removal"):
        sys.modules.pop(module, None)


@pytest.fixture(scope="module")
def inverted(tmp_path_factory, registered) -> Project:
    """A project on a tiny model with tokens of two concepts, one of them ranked, in which nothing is distilled yet."""
    folder = build_other_model(tmp_path_factory.mktemp("techniques"))
    shutil.copytree(folder / "classifier", folder / "judges" / "evaluation")
    raw = small_raw(folder)
    raw["concepts"] = {
        name: raw["concepts"]["badge"] | {"text": name, "prompts": [f"a {name}", f"a big {name}"], "feedback": feedback}
        for name, feedback in (("knife", "binary"), ("blood", "ranking"))
    }
    raw["candidates"]["drawn"] = dict.fromkeys(raw["concepts"], 12)
    raw["evaluate"]["judge"] |= {"kind": "classifier", "flagged": ["weapon"], "accepted": ["tool"], "threshold": 0.2}
    project = Project(folder / "project")
    project.folder.mkdir()
    write_raw(project.folder, raw)
    project.keep("base", "sdd-text")
    short = {
        row: settings | {key: value for key, value in SHORT.items() if key in settings}
        for row, settings in (ROWS | WIDE).items()
    }
    project.edit(removals=project.params.model_dump(mode="json")["removals"] | short, release__lora=None)
    run_through(project, until="invert")
    return project


@pytest.mark.parametrize("row", [*ROWS, *WIDE])
def test_a_row_runs_through_all_stages_of_its_own(inverted, row):
    found = {unit.address: unit for unit in units(inverted)}
    for stage in ("distill", "attack", "evaluate"):
        unit = found[f"{stage}@{row}"]
        unit.stage.load()(unit.context(inverted.params))
    record = json.loads((inverted.folder / f"models/{row}/removal.json").read_text())
    weights = load_file(inverted.folder / f"models/{row}/weights.safetensors")
    assert record["settings"] == inverted.params.removals[row].model_dump(mode="json")
    assert record["trained_parameters"] == sum(value.numel() for value in weights.values()) > 0
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights.values())
    assert len((inverted.folder / f"models/{row}/steps.csv").read_text().splitlines()) > 1
    assert list((inverted.folder / f"models/{row}/samples").glob("*.png"))
    assert len((inverted.folder / f"evaluation/{row}/pictures.jsonl").read_text().splitlines()) > 1
    learns = getattr(inverted.params.removals[row], "learns", "cross-kv")
    assert any(".attn2." not in name for name in weights) == (learns == "all-but-cross")


def test_an_anchored_row_with_every_setting_runs_and_says_which_words_it_judged(inverted, tmp_path):
    row = {
        "method": "anchored", "steps": 2, "batch": 2, "rate": 1e-4, "ema": 0.0, "learns": "all-but-time",
        "guidance": 3.0, "rollout_steps": 2, "rollouts": 2, "reuse": 1, "concentration": 1, "rounds": 2,
        "contrast": 0.5, "preserve": True, "reinvert_steps": 1, "reinvert_from": ["word", "token", "beside"],
        "anchor": "both",
        "anchor_words": ["of wood"], "anchors": 2, "words": "judged", "vocabulary": ["axe", "spoon"],
        "word_pictures": 2, "objectionable_from": 0.51, "jitter": 0.3,
    }  # fmt: skip
    copy = Project(tmp_path / "project")
    shutil.copytree(inverted.folder, copy.folder)
    copy.edit(removals=copy.params.model_dump(mode="json")["removals"] | {"everything": row})
    (unit,) = [unit for unit in units(copy) if unit.address == "distill@everything"]
    signs: list[str] = []
    context = unit.context(copy.params, work=tmp_path / "work", progress=lambda done, total, what: signs.append(what))
    unit.stage.load()(context)
    judged = json.loads((copy.folder / "models/everything/words.json").read_text())
    assert {concept: set(words) for concept, words in judged.items()} == {
        concept: {"axe", "spoon"} for concept in ("knife", "blood")
    }
    # Of two concepts: three starts, and two anchors.
    assert len([sign for sign in signs if sign.endswith("round 2, inverting")]) == 6
    assert len([sign for sign in signs if "of 2, inverting" in sign]) == 4
    first = load_file(copy.folder / "models/everything/weights.safetensors")
    # Started again in the middle, it ends in the same bits.
    (tmp_path / "work/round-2/done.safetensors").unlink()
    unit.stage.load()(context)
    again = load_file(copy.folder / "models/everything/weights.safetensors")
    assert all(torch.equal(first[name], again[name]) for name in first)


def with_row(**settings):
    raw = default_raw()
    raw["removals"]["row"] = settings
    return raw


def test_a_row_of_another_package_is_parsed_by_its_own_class_and_dumped_as_it_was_written():
    settings = {"method": "projection", "condition": "token", "strength": 0.5}
    params = parse_params(with_row(**settings))
    assert type(params.removals["row"]).__name__ == "Projection"
    assert params.model_dump(mode="json")["removals"]["row"] == settings
    assert parse_params(params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "projection", "condition": "token"}, r"removals\.row\.strength: missing key"),
        (
            {"method": "projection", "condition": "token", "strength": 2},
            r"row\.strength: .*less than or equal",
        ),
        ({"method": "broken"}, "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ({"method": "plain"}, "their_projection:Literal is not a class of hfi_core.params.RegisteredRemoval"),
        ({"method": "bare"}, "bare_removal:Bare is not a class of .* with a `remove`"),
        ({"method": "sdd", "condition": "token", "strength": 1.0}, r"removals\.row\.steps: missing key"),
        ({"method": "nobody"}, r"removals\.row: .*'nobody'"),
    ],
)
def test_a_mistake_in_such_a_row_or_its_package_is_one_clear_message(settings, message):
    with pytest.raises(UserError, match=message):
        parse_params(with_row(**settings))
