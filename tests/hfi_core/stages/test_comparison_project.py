"""A small comparison on the miniature model, through all stages: three techniques at two strengths each."""

import json

import pytest

from hfi_core.stages import compare
from tests.support.loop import bytes_below, run_through, units
from tests.support.projects import Project, write_project

UCE = {"method": "uce", "condition": "text"}
CURVES = {
    "sdd-token": [["sdd-1a", "sdd-2a"], ["sdd-1b", "sdd-2b"]],
    "uce-text": [["uce-text-1", "uce-text-2"]],
    "uce-token": [["uce-token-1", "uce-token-2"]],
}


@pytest.fixture(scope="module")
def compared(miniature, tmp_path_factory) -> Project:
    project = write_project(tmp_path_factory.mktemp("comparison") / "project", miniature)
    removals = project.params.model_dump(mode="json")["removals"]
    sdd = {"1": removals["sdd-token"], "2": removals["sdd-token"] | {"rate": 0.01}}
    rows = {"base": removals["base"]} | {f"sdd-{n}{x}": row for n, row in sdd.items() for x in "ab"}
    for condition in ("text", "token"):
        rows |= {f"uce-{condition}-{n}": UCE | {"condition": condition, "erase_scale": n} for n in (1, 2)}
    project.edit(
        removals=rows, release__row="uce-token-2", release__lora=None, release__gates={}, evaluate__curves=CURVES,
        evaluate__removal_levels={"most": 0.9, "half": 0.5},
    )  # fmt: skip
    run_through(project, until="compare")
    return project


@pytest.fixture(scope="module")
def page(compared) -> str:
    return (compared.folder / "reports/report.html").read_text()


def test_every_row_is_a_point_of_its_curve(compared):
    found = json.loads((compared.folder / "reports/evaluation.json").read_text())["curves"]
    assert {
        curve["curve"]: [(point["row"], point["repetition"], point["strength"]) for point in curve["points"]]
        for curve in found["curves"]
    } == {
        "sdd-token": [
            ("sdd-1a", 1, "rate 0.0004"), ("sdd-2a", 1, "rate 0.01"),
            ("sdd-1b", 2, "rate 0.0004"), ("sdd-2b", 2, "rate 0.01"),
        ],
        "uce-text": [("uce-text-1", 1, "erase scale 1.0"), ("uce-text-2", 1, "erase scale 2.0")],
        "uce-token": [("uce-token-1", 1, "erase scale 1.0"), ("uce-token-2", 1, "erase scale 2.0")],
    }  # fmt: skip
    assert {(entry["curve"], entry["against"]) for entry in found["comparisons"]} == {("uce-token", "uce-text")}


def test_repetitions_of_a_row_have_random_numbers_of_their_own(compared):
    models = compared.folder / "models"
    one, other = ((models / f"sdd-1{x}/weights.safetensors").read_bytes() for x in "ab")
    assert one[-1000:] != other[-1000:]  # the values, not the row in the header


def test_the_page_has_the_section_its_plot_and_a_table_that_can_be_sorted_by_keyboard(compared, page):
    assert (compared.folder / "reports/plots/equal_removal.svg").exists()
    assert page.count('id="equal-removal"') == 1 and page.count("<script>") == 1
    assert '<th scope="col"><button type="button">kept@broad</button></th>' in page
    section = page.split('id="equal-removal"')[1].split("</section>")[0]
    assert section.count("<tr><td data-key=") == len(CURVES) * 2
    assert "All 8 points" in section and "uce-token − uce-text" in section


def test_the_other_sections_show_one_row_of_each_curve(page):
    figures = page.split('id="figures"')[1].split("<details>")[0]
    assert figures.count('<th scope="row">') <= 1 + len(CURVES) + 1
    assert all(figures.count(f'<th scope="row">{name}') >= 1 for name in ("base", "sdd-", "uce-text-", "uce-token-"))


def test_comparing_again_gives_the_same_bytes(compared, tmp_path):
    (unit,) = (unit for unit in units(compared) if unit.stage.name == "compare")
    again = {name: tmp_path / path.name for name, path in unit.outputs.items()}
    compare.run(unit.context(compared.params, outputs=again))
    for name, path in unit.outputs.items():
        assert bytes_below(path, named_from=path.parent) == bytes_below(again[name], named_from=tmp_path)
