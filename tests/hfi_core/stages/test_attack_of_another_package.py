"""The attack that the how-to shows, as one of another package, goes through attack, evaluate and compare."""

import csv
import json
import re
import sys
from importlib.metadata import EntryPoint

import pytest
import torch
import yaml

from hfi_core import plugins
from hfi_core.attacks.base import Attacker, AttackPrompt, Found
from hfi_core.attacks.kinds import find_attack
from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.params import Params, RegisteredAttack, Reinversion, parse_params
from tests.support.attacks import make_target
from tests.support.loop import run_through, units
from tests.support.projects import REPOSITORY, Project, default_raw, write_project

PAGE = (REPOSITORY / "docs/how-to/attack-a-removal.md").read_text()
REINVERTED, *_, WORDS = (
    yaml.safe_load(fragment)["attacks"] for fragment in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
)


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory):
    """The example of the page as a module, and an entry point that names it."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    folder = tmp_path_factory.mktemp("package")
    (folder / "their_search.py").write_text(code)
    points = [
        EntryPoint("word-search", "their_search:WordSearch", plugins.ATTACK_GROUP),
        EntryPoint("broken", "no_such_module:Attack", plugins.ATTACK_GROUP),
        EntryPoint("plain", "their_search:Literal", plugins.ATTACK_GROUP),
        EntryPoint("reinversion", "their_search:WordSearch", plugins.ATTACK_GROUP),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(plugins, "entry_points", lambda group: points if group == "hfi.attacks" else [])
        yield
    sys.modules.pop("their_search", None)


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory, registered) -> Project:
    project = write_project(tmp_path_factory.mktemp("attacked") / "project", miniature)
    project.keep("base", "sdd-token")
    attacks = project.params.model_dump(mode="json")["attacks"] | WORDS
    attacks["words"] |= {"pictures": 2, "tries": 2, "attackers": 2}
    attacks["reinverted"] |= {"looks": [1], "start": {"token": "objectionable"}}
    project.edit(attacks=attacks)
    run_through(project, until="compare")
    return project


def _with(attacks) -> Params:
    raw = default_raw()
    raw["attacks"] = attacks
    return parse_params(raw)


def test_the_settings_of_the_page_are_valid():
    assert isinstance(_with(REINVERTED).attacks["from-the-token"], Reinversion)
    assert _with(WORDS).attacks["words"].words == ("old", "broken", "dark")


def test_the_words_stand_before_the_prompts_in_the_file_that_others_read(finished):
    with (finished.folder / "attacks/sdd-token/words/prompts.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["attacker"] for line in lines] == ["badge", "badge", "badge.2", "badge.2"]
    for line in lines:
        word, prompt = line["adversarial_prompt"].split(" ", 1)
        assert word in ("old", "broken", "dark") and prompt == line["prompt"]
    assert len({(line["adversarial_prompt"], line["evaluation_seed"]) for line in lines}) >= 2
    figures = json.loads((finished.folder / "attacks/sdd-token/words/figures.json").read_text())
    assert 0 <= figures["badge"]["best_score"] <= 1


def test_every_attack_has_its_figures_and_prompts_have_asr(finished):
    evaluation = json.loads((finished.folder / "reports/evaluation.json").read_text())
    assert {name: attack["kind"] for name, attack in evaluation["attacks"].items()} == {
        "reinverted": "reinversion", "words": "word-search",
    }  # fmt: skip
    for row in evaluation["rows"]:
        assert {"flagged@reinverted", "flagged@words", "flagged@worst_attack"} <= set(row["metrics"])
        assert set(row["attacks"]["words"]["attackers"]) == {"badge", "badge.2"}
        assert row["attacks"]["words"]["asr"]["value"] >= row["attacks"]["words"]["pre_asr"]["value"]
        assert [point["step"] for point in row["attacks"]["reinverted"]["curve"]] == [1, 2]


def test_the_originals_are_drawn_at_the_seeds_of_the_attack(finished):
    lines = (finished.folder / "evaluation/base/pictures.jsonl").read_text().splitlines()
    seeds = {"words": [], "words.original": []}
    for record in map(json.loads, lines):
        if record["suite"] in seeds:
            seeds[record["suite"]].append(record["seed"])
            assert record["prompt"].startswith(("a ", "old a ", "broken a ", "dark a "))
    assert seeds["words"] == seeds["words.original"] and len(seeds["words"]) == 4


def test_no_package_can_take_the_place_of_our_kinds():
    settings = _with(REINVERTED).attacks["from-the-token"]
    assert type(settings) is Reinversion


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("broken", "'broken' of another package .* cannot be loaded: ModuleNotFoundError"),
        ("plain", "is not a class of hfi_core.params.RegisteredAttack with an `attack`"),
        ("nobodys", r"attacks\.mine: .*'nobodys'"),
    ],
)
def test_a_kind_that_cannot_be_used_is_refused_by_name(kind, expected):
    with pytest.raises(UserError, match=expected):
        _with({"mine": {"kind": kind, "pictures": 1}})


class Returning(RegisteredAttack):
    """An attack that returns what a test says."""

    kind: str = "returning"

    def attack(self, target, *, work, progress):
        return target.tokens["result"]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, "'returning' of another package returned no prompts"),
        (Found([]), "'returning' of another package returned no prompts"),
        (
            Found([AttackPrompt("a", "b", 1)], weights={"w": {"no.such": torch.ones(1)}}),
            "no.such .* does not fit this UNet",
        ),
    ],
)
def test_what_an_attack_of_another_package_returns_is_checked(finished, result, expected):
    params, spec = finished.params, Returning(pictures=1)
    model = load_base_model(params.model, params.compute)
    target = make_target(params, Attacker("mine", "badge", 1), model=model, tokens={"result": result})
    with pytest.raises(UserError, match=expected):
        find_attack(spec)(target, spec, work=None, progress=lambda *_: None)


def test_the_units_of_the_graph_stay_one_a_row(finished):
    assert [unit.address for unit in units(finished) if unit.stage.name == "attack"] == [
        "attack@base",
        "attack@sdd-token",
    ]
