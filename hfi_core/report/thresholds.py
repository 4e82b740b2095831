"""Show the rates of a judge that gives scores over all thresholds: a plot of the main ones, and a table of all."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hfi_core.evaluation.definitions import first_suite
from hfi_core.report.findings import format_value

_DRAWN = (("flagged", "broad"), ("kept", "broad"), ("flagged", "precise"))
"""Rates that are plotted, each on the first suite of a role."""
_SHOWN = (0.25, 0.4, 0.5, 0.6, 0.75, 0.9)
"""Thresholds that the table shows beside the operating point."""


def has_curves(evaluation: Mapping[str, Any]) -> bool:
    """Return whether the rows have their rates over thresholds."""
    return "operating_threshold" in evaluation


def draw_thresholds(evaluation: Mapping[str, Any], style: Mapping[str, tuple[str, str]], ink: str) -> Figure:
    """Plot rates over thresholds with their intervals as bands. A line marks the operating point.

    `style` gives colour and marker by row.
    """
    metrics = [f"{rate}@{first_suite(role, evaluation['suites'])}" for rate, role in _DRAWN]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True)
    for axes, metric in zip(panels, metrics, strict=True):
        for row in evaluation["rows"]:
            points, colour = row["thresholds"][metric], style[row["row"]][0]
            thresholds, values, lows, highs = (
                [point[key] for point in points] for key in ("threshold", "value", "low", "high")
            )
            axes.fill_between(thresholds, lows, highs, color=colour, alpha=0.15, linewidth=0)
            axes.plot(thresholds, values, color=colour, label=row["row"])
        axes.axvline(evaluation["operating_threshold"], color=ink, linewidth=1, linestyle=":")
        axes.set_title(metric, fontsize=10)
        axes.set_xlabel("threshold", fontsize=9.5)
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.02, 1.04)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 6), fontsize=9)
    return figure


def build_threshold_table(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """Return a header, and one line for each rate of each row: "value [low, high]" by threshold."""
    operating = evaluation["operating_threshold"]
    shown = sorted({*_SHOWN, operating})
    header = ["figure", "row", *(f"{t:g} (operating point)" if t == operating else f"{t:g}" for t in shown)]
    lines = [header]
    for metric in evaluation["rows"][0]["thresholds"]:
        for row in evaluation["rows"]:
            at = {point["threshold"]: point for point in row["thresholds"][metric]}
            lines.append([metric, row["row"], *(_format(metric, at[threshold]) for threshold in shown)])
    return lines


def _format(metric: str, point: Mapping[str, float]) -> str:
    low, high = (format_value(metric, point[key]) for key in ("low", "high"))
    return f"{format_value(metric, point['value'])} [{low}, {high}]"
