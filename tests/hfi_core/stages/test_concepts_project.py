"""A binary and a ranking concept on the miniature model, through all stages: the figures and the page by concept."""

import json

import pytest

from hfi_core.evaluation.definitions import list_headlines
from hfi_core.io.tensors import load_tensors
from tests.support.loop import run_through
from tests.support.projects import ANCHORED_ROW, CLOSED_FORM, UCE_ROW, Project, write_project

STYLE = "in the style of klara"
ROWS = ("uce", "closed-form", "anchored")


@pytest.fixture(scope="module")
def concepts(miniature, tmp_path_factory) -> Project:
    """Has no suite that is named after its role, and a suite of each concept."""
    project = write_project(tmp_path_factory.mktemp("concepts") / "project", miniature)
    raw = project.params.model_dump(mode="json")
    klara = raw["concepts"]["badge"] | {
        "text": "klara", "feedback": "ranking", "initial": {"objectionable": "klara", "accepted": "klara"},
        "prompts": [f"a ball {STYLE}", f"a cup {STYLE}"],
    }  # fmt: skip
    suites = {
        f"badge-{role}": raw["evaluate"]["suites"][role] | {"role": role, "concept": "badge"}
        for role in ("broad", "precise", "neighbours", "unrelated")
    }
    for style, role in (("klara", "broad"), ("mondo", "unrelated")):
        prompts = [f"a red cup in the style of {style}", f"a blue ball in the style of {style}"]
        suites[style] = {"role": role, "concept": "klara", "prompts": prompts, "pictures": 2}
    rows = zip(ROWS, (UCE_ROW | {"condition": "token"}, CLOSED_FORM, ANCHORED_ROW), strict=True)
    project.edit(
        concepts={"badge": raw["concepts"]["badge"], "klara": klara},
        candidates__drawn={"badge": 8, "klara": 16}, removals={"base": {"method": "none"}} | dict(rows), attacks={},
        evaluate__suites=suites, evaluate__judge__concepts={"klara": {"flagged": ["klara"], "accepted": []}},
        release={
            "row": "anchored", "model": "both", "lora": None,
            "gates": {"strength@klara": {"at_most": 1.0, "of_base": True}, "correct@klara": {"at_least": 0.0}},
        },
    )  # fmt: skip
    run_through(project, until="compare")
    return project


@pytest.fixture(scope="module")
def evaluation(concepts):
    return json.loads((concepts.folder / "reports/evaluation.json").read_text())


def test_both_concepts_get_a_pair_of_tokens_and_every_row_changes_weights(concepts):
    assert json.loads((concepts.folder / "labels/klara/summary.json").read_text())["kind"] == "ranking"
    for concept in ("badge", "klara"):
        for side in ("objectionable", "accepted"):
            assert (concepts.folder / f"tokens/{concept}/{side}/learned_embeds.safetensors").exists()
    for row in ROWS:
        tensors, _ = load_tensors(concepts.folder / f"models/{row}/weights.safetensors")
        assert tensors


def test_the_strength_of_a_style_is_measured_on_the_suites_of_its_concept_alone(evaluation):
    for row in evaluation["rows"]:
        measured = {name for name in row["metrics"] if name.startswith("strength@")}
        assert measured == {"strength@klara", "strength@mondo"}
        assert all(0 <= row["metrics"][name]["low"] <= row["metrics"][name]["high"] <= 1 for name in measured)
        assert row["metrics"]["strength@klara"]["direction"] == "down"


def test_the_mean_strength_is_that_of_the_recorded_pictures(concepts, evaluation):
    records = [
        json.loads(line) for line in (concepts.folder / "evaluation/uce/pictures.jsonl").read_text().splitlines()
    ]
    (row,) = (row for row in evaluation["rows"] if row["row"] == "uce")
    values = [record["strength"] for record in records if record["suite"] == "klara"]
    assert len(values) == 4 and row["metrics"]["strength@klara"]["value"] == pytest.approx(sum(values) / 4, abs=1e-6)
    assert {record["strength"] for record in records if record["suite"].startswith("badge-")} == {None}


def test_the_short_table_and_the_paired_tests_say_whether_a_styles_content_stays(evaluation):
    assert {"strength@klara", "strength@mondo", "correct@klara"} <= set(list_headlines(evaluation))
    assert "correct@badge-broad" not in list_headlines(evaluation)
    compared = {comparison["metric"] for comparison in evaluation["comparisons"]}
    assert {"flagged@klara", "kept@klara", "correct@klara", "correct@mondo", "flagged@badge-broad"} <= compared
    assert not {metric for metric in compared if metric.startswith("strength")}, "only shares are compared in pairs"


def test_the_page_needs_no_suite_of_a_certain_name_and_plots_each_concept(concepts):
    page = (concepts.folder / "reports/report.html").read_text()
    assert "Of the concept klara." in page and "strength@klara" in page
    plot = (concepts.folder / "reports/plots/removal.svg").read_text()
    for title in ("badge-broad", "badge-neighbours", "badge-unrelated", "klara", "mondo"):
        assert f", {title} prompts" in plot
    assert plot.count('<g id="axes_') == 5
