"""Each attack that the how-to shows goes through the stages attack and evaluate, on a small budget."""

import csv
import json
import re
from typing import Any

import pytest
import yaml

from hfi_core.params import parse_params
from hfi_core.params.attacks import BUILT_IN_KINDS
from hfi_core.progress import no_progress
from tests.support.loop import run_through, units
from tests.support.projects import REPOSITORY, Project, default_raw, read_rows, write_project

PAGE = (REPOSITORY / "docs/how-to/attack-a-removal.md").read_text()
FRAGMENTS = [
    yaml.safe_load(fragment)["attacks"] for fragment in re.findall(r"```yaml\n(attacks:\n.*?)```", PAGE, re.DOTALL)
]
SHOWN = {
    name: settings for attacks in FRAGMENTS for name, settings in attacks.items() if settings["kind"] in BUILT_IN_KINDS
}
(SMALL,) = (attacks for attacks in FRAGMENTS if len(attacks) > 1)
SHORT = {
    "pictures": 2, "prompts": 2, "tokens": 2, "timesteps": 2, "steps": 2, "batch": 2, "looks": [1], "population": 4,
    "generations": 2, "topk": 5, "candidates": 4, "examples": 2, "references": 2, "attackers": 1, "check": 1,
}  # fmt: skip


def shorten(settings: dict[str, Any]) -> dict[str, Any]:
    short = {key: SHORT[key] for key in settings.keys() & SHORT.keys()}
    if settings["kind"] == "paraphrase":
        del short["prompts"]
    return settings | short


@pytest.fixture(scope="module")
def attacked(miniature, tmp_path_factory) -> Project:
    """A project in which the page's small attacks were run on the base, and evaluated."""
    project = write_project(tmp_path_factory.mktemp("attacks") / "project", miniature)
    project.edit(attacks={name: shorten(settings) for name, settings in SMALL.items()}, release__lora=None)
    project.keep("base")
    run_through(project, until="distill")
    for unit in units(project):
        if unit.address in ("attack@base", "evaluate@base"):
            unit.stage.load()(unit.context(project.params, progress=no_progress))
    return project


def test_the_page_shows_every_kind():
    assert {settings["kind"] for settings in SHOWN.values()} == BUILT_IN_KINDS
    assert {settings["kind"] for settings in SMALL.values()} == BUILT_IN_KINDS - {"reinversion"}


@pytest.mark.parametrize("name", SHOWN)
def test_what_the_page_shows_is_valid(name):
    parse_params(default_raw() | {"attacks": {name: SHOWN[name]}})


@pytest.mark.parametrize("name", SMALL)
def test_an_attack_runs_through_its_stages(attacked, name):
    spec = attacked.params.attacks[name]
    cases = read_cases(attacked, name)
    records = read_rows(attacked.folder / "evaluation/base/pictures.jsonl")
    assert len(cases) == 2 * (1 + len(getattr(spec, "looks", ())))
    assert sum(row["suite"] == name for row in records) == 2
    assert sum(row["suite"] == f"{name}.original" for row in records) == 2 * spec.has_originals
    assert all(case["prompt"] and case["adversarial_prompt"] for case in cases)


@pytest.mark.parametrize("name", ["prefix", "prefix-p4d", "direction", "filtered"])
def test_prompts_that_were_found_have_the_words_asked_for(attacked, name):
    for case in read_cases(attacked, name):
        words = case["adversarial_prompt"].removesuffix(case["prompt"]).split()
        assert len(words) == 2
        assert name != "filtered" or not {"badge", "skull"} & set(words)


def test_what_latent_inversion_measures_is_kept(attacked):
    figures = json.loads((attacked.folder / "attacks/base/noise/figures.json").read_text())
    assert {"psnr", "psnr_ddim", "nll", "nll_unrelated", "relative_distance"} <= figures["badge"].keys()
    assert all(case["latents"] == "1" for case in read_cases(attacked, "noise"))


def test_what_relearning_trained_draws_its_pictures(attacked):
    assert [case["weights"] for case in read_cases(attacked, "relearned")] == [
        "badge-step-1", "badge-step-1", "badge-end", "badge-end",
    ]  # fmt: skip


def read_cases(project: Project, name: str) -> list[dict[str, str]]:
    with (project.folder / f"attacks/base/{name}/prompts.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))
