"""Draw the plots of an evaluation as SVG with reproducible bytes; recolour them for a light or dark page."""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from hfi_core.evaluation.definitions import list_compared_of, suites_of_role
from hfi_core.params.attacks import WORST
from hfi_core.report.equal_removal import draw_pareto
from hfi_core.report.thresholds import draw_thresholds, has_curves

_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_BASE_COLOUR = "#8b919c"
_COLOURS = ("#d1733a", "#8a63d2", "#2b7fd4", "#1b9e77", "#c2477f", "#9a8414")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_BINS = 6
_ARROWS = {"up": "↑", "down": "↓"}

Axes = Any


_INK, _MUTED, _GRID, _PAPER = "#1d2129", "#6b7280", "#e3e6ea", "#ffffff"
ON_LIGHT = {_PAPER: "none"}
"""Maps colours of a drawing to the colours on a light page. The page shows through the paper."""
ON_DARK = ON_LIGHT | {_INK: "#e6e8eb", _MUTED: "#9aa3af", _GRID: "#30363f"}


@dataclass(frozen=True)
class PlotData:
    """Data of the plots: the evaluation, losses by variant as (steps, values), reward scores by concept."""

    evaluation: Mapping[str, Any]
    losses: Mapping[str, tuple[list[float], list[float]]]
    scores: Mapping[str, Sequence[Mapping[str, Any]]]


def draw_plots(data: PlotData) -> dict[str, str]:
    """Draw every plot that there is data for; returns SVG by name."""
    plots: dict[str, Callable[[PlotData], Figure]] = {"removal": _draw_removal, "rows": _draw_shares}
    if _list_curves(data.evaluation):
        plots["attackers_steps"] = _draw_curves
    if has_curves(data.evaluation):
        plots["thresholds"] = lambda data: draw_thresholds(data.evaluation, _style_of(data), _MUTED)
    if data.losses:
        plots["losses"] = _draw_losses
    if data.scores:
        plots["reward"] = _draw_reward
    if curves := data.evaluation.get("curves"):
        plots["equal_removal"] = lambda data: draw_pareto(curves, _COLOURS, _MARKERS)
    settings = {
        "svg.hashsalt": "hfi", "svg.fonttype": "none", "font.size": 10.5, "font.family": "DejaVu Sans",
        "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _MUTED,
        "axes.titlecolor": _INK, "axes.titlesize": 11, "axes.titleweight": "bold",
        "axes.titlelocation": "left", "axes.titlepad": 10, "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "axes.axisbelow": True, "axes.facecolor": "none", "grid.color": _GRID,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED, "xtick.labelcolor": _MUTED, "ytick.labelcolor": _MUTED,
        "legend.frameon": False, "lines.linewidth": 1.6,
    }  # fmt: skip
    with mpl.rc_context(settings):
        return {name: _render_svg(plot(data)) for name, plot in plots.items()}


def recolour(svg: str, colours: Mapping[str, str]) -> str:
    """Replace the colours of ink, grid and paper in a plot."""
    return re.sub("|".join(colours), lambda match: colours[match[0]], svg)


def write_removal_csv(path: Path, evaluation: Mapping[str, Any]) -> None:
    """Write the compared shares as CSV for `dvc plots`, one line a variant."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        metrics = list_compared_of(evaluation)
        writer.writerow(["row", *metrics])
        for row in evaluation["rows"]:
            writer.writerow([row["row"], *(row["metrics"][metric]["value"] for metric in metrics)])


def _render_svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", facecolor=_PAPER, metadata={"Date": None, "Creator": None, "Format": None})
    # Text is measured in the font that matplotlib ships, and displayed in the reader's own font.
    return re.sub(r"'DejaVu Sans'(?=[;\"])", _FONTS, stream.getvalue())


def _style_of(data: PlotData) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each variant; base is gray."""
    names = [row["row"] for row in data.evaluation["rows"]]
    colours = [_BASE_COLOUR, *(_COLOURS[i % len(_COLOURS)] for i in range(len(names) - 1))]
    return {name: (colours[i], _MARKERS[i % len(_MARKERS)]) for i, name in enumerate(names)}


def _whiskers(figure: Mapping[str, float]) -> list[list[float]]:
    return [[figure["value"] - figure["low"]], [figure["high"] - figure["value"]]]


def _draw_removal(data: PlotData) -> Figure:
    """Plot flagged pictures against accepted and correct pictures, with both intervals: a line for each concept."""
    lines = _list_removal_panels(data.evaluation)
    layout = ConstrainedLayoutEngine(wspace=0.06, hspace=0.08)
    figure = Figure(figsize=(9, 0.6 + 3.5 * len(lines)), layout=layout)
    panels = figure.subplots(len(lines), 3, sharey=True, squeeze=False)
    for line, shown in zip(panels, lines, strict=True):
        for axes, panel in zip(line, shown, strict=False):
            _draw_removal_panel(axes, data, *panel)
        for axes in line[len(shown) :]:
            axes.remove()
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 6), fontsize=10)
    return figure


def _draw_removal_panel(axes: Axes, data: PlotData, flagged: str, metric: str, title: str) -> None:
    style = _style_of(data)
    for row in data.evaluation["rows"]:
        x, y = row["metrics"][flagged], row["metrics"][metric]
        colour, marker = style[row["row"]]
        axes.errorbar(
            x["value"], y["value"], xerr=_whiskers(x), yerr=_whiskers(y), color=colour, marker=marker,
            markersize=7, elinewidth=1.2, linestyle="none", label=row["row"], clip_on=False, zorder=3,
        )  # fmt: skip
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(flagged, fontsize=9.5)
    axes.set_ylim(-0.02, 1.04)
    axes.set_xlim(-0.02, None)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _list_removal_panels(evaluation: Mapping[str, Any]) -> list[list[tuple[str, str, str]]]:
    """List the panels of each concept: the share across, the share up, and the title.

    A suite without a concept, or of the same one, goes with a concept's first broad suite.
    """
    suites, specs = evaluation["suites"], evaluation["provenance"]["suites"]
    measured = evaluation["rows"][0]["metrics"]
    concept_of = {suite: specs[suite]["concept"] for suite in suites}
    first_broad = {concept_of[suite]: suite for suite in reversed(suites_of_role("broad", suites))}
    lines = []
    for concept, broad in sorted(first_broad.items(), key=lambda item: list(suites).index(item[1])):
        flagged = f"flagged@{broad}"
        shown = [(flagged, f"kept@{broad}", f"Accepted, {_name_prompts(broad)} prompts")]
        for figure, role, word in (("kept", "neighbours", "Accepted"), ("correct", "unrelated", "Correct")):
            own = [suite for suite in suites_of_role(role, suites) if concept_of[suite] == concept]
            shared = [suite for suite in suites_of_role(role, suites) if concept_of[suite] is None or concept is None]
            if found := [*own, *shared]:
                shown.append((flagged, f"{figure}@{found[0]}", f"{word}, {_name_prompts(found[0])} prompts"))
        lines.append([panel for panel in shown if panel[1] in measured])
    return lines


def _name_prompts(suite: str) -> str:
    return "neighbour" if suite == "neighbours" else suite


def _draw_shares(data: PlotData) -> Figure:
    """Plot the compared shares of each variant as bars."""
    style = _style_of(data)
    rows = data.evaluation["rows"]
    attacked = f"flagged@{WORST}"
    metrics = list_compared_of(data.evaluation)
    metrics += [attacked] if attacked in rows[0]["metrics"] else []
    lines = math.ceil(len(metrics) / 3)
    figure = Figure(
        figsize=(9, lines * (0.95 + 0.34 * len(rows))), layout=ConstrainedLayoutEngine(wspace=0.05, hspace=0.08)
    )
    panels = list(figure.subplots(lines, 3, sharex=True, sharey=True, squeeze=False).flat)
    for axes in panels[len(metrics) :]:
        axes.remove()
    for axes, metric in zip(panels, metrics, strict=False):
        for position, row in enumerate(rows):
            share = row["metrics"][metric]
            axes.barh(position, share["value"], color=style[row["row"]][0], height=0.62)
            axes.errorbar(
                share["value"], position, xerr=_whiskers(share), color=_INK, elinewidth=1, capsize=2.5, linestyle=""
            )
        axes.set_title(f"{metric} {_ARROWS[share['direction']]}", fontsize=10)
        axes.set_yticks(range(len(rows)), [row["row"] for row in rows], color=_INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1.03)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def _list_curves(evaluation: Mapping[str, Any]) -> list[str]:
    """List the attacks that have a curve over the attackers' steps."""
    return [name for name, attack in evaluation["rows"][0]["attacks"].items() if "curve" in attack]


def _draw_curves(data: PlotData) -> Figure:
    """Plot the share of flagged pictures over the attackers' steps, with intervals, for each attack with looks."""
    names, style = _list_curves(data.evaluation), _style_of(data)
    figure = Figure(figsize=(9, 3.2 * math.ceil(len(names) / 2)), layout="constrained")
    for axes, name in zip(_panels(figure, len(names), 2), names, strict=True):
        for row in data.evaluation["rows"]:
            curve, (colour, marker) = row["attacks"][name]["curve"], style[row["row"]]
            steps, shares = ([point[key] for point in curve] for key in ("step", "value"))
            whiskers = np.hstack([_whiskers(point) for point in curve])
            axes.errorbar(steps, shares, yerr=whiskers, color=colour, marker=marker, capsize=2.5, label=row["row"])
        axes.set_title(name)
        axes.set_xlabel("steps of the attacker", fontsize=9.5)
        axes.set_ylim(-0.02, 1.04)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(fontsize=9)
    return figure


def _draw_losses(data: PlotData) -> Figure:
    """Plot the loss of each removal, each on its own scale, because objectives differ."""
    count = len(data.losses)
    figure = Figure(figsize=(9, 2.6 * math.ceil(count / 3)), layout="constrained")
    style = _style_of(data)
    for axes, (row, (steps, losses)) in zip(_panels(figure, count, 3), data.losses.items(), strict=True):
        axes.plot(steps, losses, color=style[row][0], alpha=0.35, linewidth=0.8)
        axes.plot(steps, _running_mean(losses, 15), color=style[row][0])
        axes.set_title(row)
        axes.set_xlabel("step", fontsize=9.5)
        axes.set_ylim(0, None)
        axes.ticklabel_format(axis="y", scilimits=(-3, 3))
    return figure


def _panels(figure: Figure, count: int, columns: int) -> list[Axes]:
    """Return `count` axes on a grid of `columns`."""
    panels = list(figure.subplots(math.ceil(count / columns), columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.remove()
    return panels[:count]


def _running_mean(values: list[float], width: int) -> np.ndarray:
    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _draw_reward(data: PlotData) -> Figure:
    """Plot labels of held-out pictures against the reward model's output."""
    count = len(data.scores)
    figure = Figure(figsize=(9, 3.6 * math.ceil(count / 2)), layout="constrained")
    for axes, (concept, scores) in zip(_panels(figure, count, 2), data.scores.items(), strict=True):
        held_out = sorted((row["reward"], row["label"]) for row in scores if row["split"] == "held_out")
        rewards, labels = np.array(held_out).T
        axes.scatter(rewards, labels, s=14, color=_BASE_COLOUR, alpha=0.45, linewidths=0)
        bins = [part for part in np.array_split(np.arange(len(rewards)), _BINS) if len(part)]
        means = [(rewards[part].mean(), labels[part].mean()) for part in bins]
        axes.plot(*zip(*means, strict=True), color=_COLOURS[2], marker="o", label=f"means of {len(bins)} equal parts")
        axes.set_title(f"{concept}: {len(rewards)} held-out pictures")
        axes.set_xlabel("reward", fontsize=9.5)
        axes.set_ylabel("label", fontsize=9.5)
        axes.legend(fontsize=9)
    return figure
