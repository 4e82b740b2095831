"""docs/scale.md's tables follow from its own figures, the preset's params and the arithmetic of `hfi plan`."""

import re
from functools import reduce
from operator import add

import pytest

from flows.project import presets
from hfi_core.params.workload import Workload, count_unet_passes
from hfi_core.pipeline.graph import units_of
from tests.support.projects import REPOSITORY

PAGE = (REPOSITORY / "docs/scale.md").read_text(encoding="utf-8")
PARAMS = presets.load_preset("sd15")
PASSES = 2 * PARAMS.sampler.steps
"""Of one picture, under guidance."""


def figure(name: str) -> float:
    """A figure of the page's own table, by the name in its first column."""
    (value,) = re.findall(rf"^\| `{re.escape(name)}` \| ([0-9.,]+)", PAGE, re.MULTILINE)
    return float(value.replace(",", ""))


def rows(first: str) -> list[list[str]]:
    """The cells of the table whose header begins with `first`."""
    table = PAGE.split(f"| {first} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def _work(*, of_candidates: bool) -> Workload:
    units = (unit for unit in units_of(PARAMS) if (unit.stage.name == "generate") == of_candidates)
    return reduce(add, (count_unet_passes(unit.stage.name, unit.unit, PARAMS) for unit in units), Workload())


def spelled(value: float) -> str:
    """Two figures that count, as the page spells them."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.1f}"


def test_a_picture_costs_the_passes_that_the_page_says():
    drawn = _work(of_candidates=True)
    assert drawn.forward / drawn.pictures == PASSES == figure("P")


def test_the_rest_costs_what_the_preset_says():
    rest = _work(of_candidates=False)
    assert (rest.forward, rest.gradient) == (figure("F"), figure("G"))


@pytest.mark.parametrize("row", rows("pictures N"), ids=lambda row: row[0])
def test_the_cost_table_follows_from_the_formula(row):
    pictures = 10 ** int(re.fullmatch(r"10\^(\d)", row[0])[1])
    passes = pictures * figure("P") + figure("F") + figure("g") * figure("G")
    judgements = pictures * PARAMS.annotation.judgements
    wanted = [
        *(passes * figure(f"s, {model}") / 1000 / 3600 for model in ("SD 1.5", "SDXL")),
        judgements,
        judgements / figure("j"),
        *(2 * pictures * figure(f"b, {model}") / 1e9 for model in ("SD 1.5", "SDXL")),
    ]
    assert row[1:] == [spelled(value) for value in wanted]


def test_the_sizes_are_those_of_uncompressed_pictures():
    assert (figure("b, SD 1.5"), figure("b, SDXL")) == (512 * 512 * 3, 1024 * 1024 * 3)


def test_sdxl_costs_its_counted_operations_more():
    ratio = figure("o, SDXL") / figure("o, SD 1.5")
    assert figure("s, SDXL") == pytest.approx(ratio * figure("s, SD 1.5"), rel=0.01)


def test_the_measured_units_are_predicted_as_the_page_says():
    forward, gradient = figure("f, embedded"), figure("g0") * figure("f, embedded")
    for unit, f, g, seconds, predicted in rows("unit"):
        f, g, seconds, predicted = (float(cell.replace(",", "")) for cell in (f, g, seconds, predicted))
        assert predicted == pytest.approx((f * forward + g * gradient) / 1000, abs=0.1), unit
        assert abs(predicted / seconds - 1) < 0.1, unit
