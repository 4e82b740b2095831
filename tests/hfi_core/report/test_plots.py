"""The plots of an evaluation."""

import re

import pytest

from hfi_core.report.plots import ON_DARK, ON_LIGHT, PlotData, draw_plots, recolour


def _scores(count: int) -> list[dict]:
    return [{"reward": n / count, "label": n % 2, "split": "held_out"} for n in range(count)]


@pytest.mark.parametrize("concepts", [1, 2, 3])
def test_the_reward_model_has_one_panel_a_concept(evaluation, concepts):
    scores = {f"concept {n}": _scores(12) for n in range(concepts)}
    plot = draw_plots(PlotData(evaluation, {}, scores))["reward"]
    assert len(re.findall(r'<g id="axes_\d+"', plot)) == concepts
    assert all(f"concept {n}: 12 held-out pictures" in plot for n in range(concepts))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_losses_have_one_panel_a_trained_row(evaluation, count):
    rows = [{**evaluation["rows"][0], "row": f"row-{n}"} for n in range(4)]
    losses = {f"row-{n}": ([0.0, 1.0], [2.0, 1.0]) for n in range(count)}
    plot = draw_plots(PlotData(evaluation | {"rows": rows}, losses, {}))["losses"]
    assert len(re.findall(r'<g id="axes_\d+"', plot)) == count


def test_a_dark_page_changes_ink_and_paper_but_not_the_colours_of_the_rows(evaluation):
    plot = draw_plots(PlotData(evaluation, {}, {}))["removal"]
    dark = recolour(plot, ON_DARK)
    assert set(ON_LIGHT) < set(ON_DARK)
    assert all(own in plot and own not in dark and other in dark for own, other in ON_DARK.items())
    colours = set(re.findall("#[0-9a-f]{6}", plot)) - set(ON_DARK)
    assert len(colours) >= len(evaluation["rows"])
    assert colours == set(re.findall("#[0-9a-f]{6}", dark)) - set(ON_DARK.values())
