"""Show techniques at equal removal: the Pareto plot of their curves, and the lines of the page's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hfi_core.report.findings import format_p_value, format_range, format_value

_NOT_REACHED = "not reached"


def draw_pareto(curves: Mapping[str, Any], colours: Sequence[str], markers: Sequence[str]) -> Figure:
    """Plot each curve from base on: flagged pictures against what is kept. A dashed curve is under the text."""
    read = curves["read"]
    figure = Figure(figsize=(3 * len(read), 4.9), layout="constrained")
    methods = list(dict.fromkeys(curve["method"] for curve in curves["curves"]))
    panels = figure.subplots(1, len(read), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, read, strict=True):
        for curve in curves["curves"]:
            position = methods.index(curve["method"])
            for repetition in range(1, curve["repetitions"] + 1):
                points = [curves["base"], *(point for point in curve["points"] if point["repetition"] == repetition)]
                axes.plot(
                    [point[curves["flagged"]] for point in points], [point[metric] for point in points],
                    color=colours[position % len(colours)], marker=markers[position % len(markers)], markersize=5,
                    linewidth=1.1, linestyle="--" if curve["condition"] == "text" else "-",
                    label=curve["curve"] if repetition == 1 else None,
                )  # fmt: skip
        axes.set_title(metric, fontsize=10)
        axes.set_xlabel(curves["flagged"], fontsize=9.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylim(-0.02, 1.04)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=5, fontsize=9)
    return figure


@dataclass(frozen=True)
class Cell:
    """One cell of a table that can be sorted."""

    text: str
    range: str
    key: str
    """What the column is sorted by; "" comes last."""


@dataclass(frozen=True)
class CurveTables:
    """The tables of the section, each a header and lines."""

    levels: list[list[Cell]]
    levels_header: list[str]
    comparisons: list[list[str]]
    points_header: list[str]
    points: list[list[str]]


def describe_curves(curves: Mapping[str, Any]) -> CurveTables:
    """Format `curves` of an evaluation for the page."""
    levels, points = [], []
    shares = [name for name in curves["base"] if "@" in name]
    for curve in curves["curves"]:
        for level in curve["levels"]:
            names = (curve["curve"], curve["method"], curve["condition"] or "–", level["level"])
            cells = [_text_cell(text) for text in names]
            for share in (level["flagged"], level["resamples_reached"]):
                cells.append(Cell(format_value(curves["flagged"], share), "", _sort_key(share)))
            levels.append([*cells, *(_share_cell(name, level["metrics"][name]) for name in curves["read"])])
        for point in curve["points"]:
            values = (format_value(name, point[name]) for name in shares)
            points.append([point["row"], curve["curve"], str(point["repetition"]), point["strength"], *values])
    return CurveTables(
        levels,
        ["curve", "method", "condition", "level", curves["flagged"], "resamples", *curves["read"]],
        [_describe_comparison(comparison) for comparison in curves["comparisons"]],
        ["row", "curve", "repetition", "strength", *shares],
        points,
    )


def _text_cell(text: str) -> Cell:
    return Cell(text, "", text)


def _sort_key(share: float) -> str:
    return f"{share:.6f}"


def _share_cell(metric: str, share: Mapping[str, Any] | None) -> Cell:
    if share is None:
        return Cell(_NOT_REACHED, "", "")
    return Cell(format_value(metric, share["value"]), format_range(metric, share), _sort_key(share["value"]))


def _describe_comparison(comparison: Mapping[str, Any]) -> list[str]:
    line = [comparison["metric"], comparison["level"], f"{comparison['curve']} − {comparison['against']}"]
    if comparison["difference"] is None:
        return [*line, _NOT_REACHED, "", "", ""]
    points = {key: f"{100 * comparison[key]:+.1f}" for key in ("difference", "low", "high")}
    p_values = [format_p_value(comparison[key]) for key in ("p", "p_holm")]
    return [*line, points["difference"], f"{points['low']} to {points['high']}", *p_values]
