"""The report as one HTML file that can be mailed: figures, verdicts and pictures inside it, no script."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from hfi_core.evaluation.definitions import FIGURES, HEADLINES, SHARES, SUITES
from hfi_core.evaluation.gates import check_gates
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.feedback.statistics import THRESHOLDS, UNITS
from hfi_core.io.atomic import atomic_file
from hfi_core.params import Params
from hfi_core.report.findings import format_p_value, format_range, format_value, list_findings
from hfi_core.report.images import build_strips, data_uri
from hfi_core.report.plots import ON_DARK, ON_LIGHT, recolour
from hfi_core.report.table import build_comparison_table

_SHARES = {"accuracy": "as the others", "yes_found": "their yes found", "no_found": "their no found"}


@dataclass(frozen=True)
class JudgementSummary:
    """Words for the page, of one concept."""

    agreement: list[tuple[str, str]]
    """Measure, and value with interval."""
    warning: str | None
    header: list[str]
    annotators: list[list[str]]
    """A row an annotator."""


def describe_judgements(summary: Mapping[str, Any]) -> JudgementSummary:
    """From a concept's `labels/CONCEPT/summary.json`."""
    ranked = summary["kind"] == "ranking"
    agreement = [
        (THRESHOLDS[name], f"{_words(interval)}, over {interval['n']} {UNITS[name]}")
        for name, interval in summary["agreement_intervals"].items()
        if interval is not None
    ]
    shares = {} if ranked else _SHARES
    rows = [
        [name, str(figures["judgements"]), str(figures["cant_tell"]), *(_words(figures[share]) for share in shares)]
        for name, figures in summary["by_annotator"].items()
    ]
    header = ["annotator", "judgements", "not placed" if ranked else "can't tell", *shares.values()]
    return JudgementSummary(agreement, summary["warning"], header, rows)


def _words(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return "–"
    return f"{interval['value']:.3f} [{interval['low']:.2f}, {interval['high']:.2f}]"


CAPTIONS = {
    "removal": "What is left of the flagged, against what is kept. Best is the upper left corner.",
    "rows": "The main shares by row, with their intervals (↑ more is better, ↓ less is better).",
    "losses": "Each removal's own loss while it learnt. Objectives differ between rows, so only the courses compare.",
    "reward": "The reward model on pictures that it did not learn from.",
}


@dataclass(frozen=True)
class ConceptReports:
    """What earlier stages said about each concept: feedback summary, reward report, the tokens' check."""

    feedback: Mapping[str, Mapping[str, Any]]
    reward: Mapping[str, Mapping[str, Any]]
    tokens: Mapping[str, Mapping[str, Any]]


def write_page(
    path: Path,
    params: Params,
    evaluation: Mapping[str, Any],
    rows: Sequence[EvaluatedVariant],
    plots: Mapping[str, str],
    background: ConceptReports,
) -> None:
    """Write the page as a whole file; `plots` are SVG by name."""
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template.filters |= {"percent": lambda value: f"{100 * value:.1f}\u202f%"}
    source = (files("hfi_core.report") / "templates" / "page.html").read_text(encoding="utf-8")
    text = template.from_string(source).render(
        model=params.release.model,
        release=params.release.row,
        simulated=any(summary["simulated"] for summary in background.feedback.values()),
        concepts=params.concepts,
        judge=params.evaluate.judge,
        level=f"{100 * params.evaluate.level:g}",
        pictures=len(rows[0].records),
        broad=evaluation["rows"][0]["metrics"]["flagged@broad"]["n"],
        gates=check_gates(evaluation, params.release.row, params.release.gates),
        findings=list_findings(evaluation),
        headlines=HEADLINES,
        table=[_line(row, params.release.row) for row in evaluation["rows"]],
        everything=list(zip(*build_comparison_table(evaluation, _all_metrics(evaluation)), strict=True)),
        comparisons=[_comparison(comparison) for comparison in evaluation["comparisons"]],
        attackers={row["row"]: row["attackers"] for row in evaluation["rows"]} if params.attack.attackers > 1 else {},
        grids={suite: build_strips(rows, suite) for suite in SUITES},
        plots=_shown(plots),
        captions=CAPTIONS,
        background=background,
        judgements={name: describe_judgements(summary) for name, summary in background.feedback.items()},
        figures=FIGURES,
        suites=SUITES,
        provenance=_flat(evaluation["provenance"]),
        differ=evaluation["provenance"]["differ"],
    )
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _line(row: Mapping[str, Any], release: str) -> dict[str, Any]:
    """A row of the main table; each cell knows where on a scale from 0 to 1 its interval lies, if it is a share."""
    cells = []
    for metric in HEADLINES:
        figure = row["metrics"][metric]
        share = metric.split("@")[0] in SHARES
        cells.append(
            {
                "value": format_value(metric, figure["value"]),
                "range": format_range(metric, figure),
                "bar": {
                    "left": round(100 * figure["low"], 2),
                    "width": round(100 * (figure["high"] - figure["low"]), 2),
                    "at": round(100 * figure["value"], 2),
                }
                if share
                else None,
            }
        )
    about = row["method"] if row["condition"] is None else f"{row['method']} on the {row['condition']}"
    about = "the model as it is" if row["method"] == "none" else about
    return {"row": row["row"], "about": about, "released": row["row"] == release, "cells": cells}


def _comparison(comparison: Mapping[str, Any]) -> dict[str, str]:
    points = {key: f"{100 * comparison[key]:+.1f}" for key in ("difference", "low", "high")}
    return {
        "metric": comparison["metric"],
        "rows": f"{comparison['row']} − {comparison['against']}",
        "difference": points["difference"],
        "range": f"{points['low']} to {points['high']}",
        "p": format_p_value(comparison["p"]),
        "p_holm": format_p_value(comparison["p_holm"]),
        "n": str(comparison["n"]),
    }


def _all_metrics(evaluation: Mapping[str, Any]) -> list[str]:
    """Every metric that the rows have, in the order of the definitions."""
    found = evaluation["rows"][0]["metrics"]
    names = [f"{figure.name}@{suite}" for figure in FIGURES for suite in figure.suites]
    return [name for name in names if name in found]


def _shown(plots: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Each plot for a light and for a dark page."""
    themes = {"light": ON_LIGHT, "dark": ON_DARK}
    return {
        name: {theme: data_uri(recolour(svg, colours).encode(), "image/svg+xml") for theme, colours in themes.items()}
        for name, svg in plots.items()
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys; anything else as JSON."""
    found = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            found |= _flat(inner, f"{prefix}{key}.")
        else:
            found[prefix + key] = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
    return found
