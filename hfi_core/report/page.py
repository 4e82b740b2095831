"""Write the report as a single HTML file: it contains its pictures and plots. Its only script sorts a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from hfi_core.evaluation.definitions import (
    ATTACK_SUITE,
    FIGURES,
    PEOPLE_FIGURES,
    ROLES,
    first_suite,
    is_share,
    list_headlines,
    list_metrics,
)
from hfi_core.evaluation.gates import check_gates
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.feedback.statistics import MEASURE_NAMES, MEASURE_UNITS
from hfi_core.io.atomic import atomic_file
from hfi_core.metrics.paired_tests import pairs_needed
from hfi_core.params import Params
from hfi_core.report.equal_removal import describe_curves
from hfi_core.report.findings import format_p_value, format_range, format_value, list_findings, list_uncalibrated
from hfi_core.report.images import build_strips, data_uri
from hfi_core.report.people import describe_people
from hfi_core.report.plots import ON_DARK, ON_LIGHT, recolour
from hfi_core.report.table import (
    build_attack_table,
    build_comparison_table,
    build_round_table,
    build_unseen_table,
)
from hfi_core.report.thresholds import build_threshold_table, has_curves

_AGREEMENT_COLUMNS = {"accuracy": "agrees", "yes_found": "agrees on yes", "no_found": "agrees on no"}


@dataclass(frozen=True)
class JudgementSummary:
    """Agreement and annotators of one concept, as text."""

    agreement: list[tuple[str, str]]
    """Pairs of a measure and its value with interval."""
    warning: str | None
    header: list[str]
    annotators: list[list[str]]
    """Table lines, one an annotator."""


def describe_judgements(summary: Mapping[str, Any]) -> JudgementSummary:
    """Format agreement and annotators from a concept's `labels/CONCEPT/summary.json`."""
    ranked = summary["kind"] == "ranking"
    agreement = [
        (MEASURE_NAMES[name], f"{_format_interval(interval)}, over {interval['n']} {MEASURE_UNITS[name]}")
        for name, interval in summary["agreement_intervals"].items()
        if interval is not None
    ]
    columns = {} if ranked else _AGREEMENT_COLUMNS
    annotators = [
        [
            name,
            str(figures["judgements"]),
            str(figures["cant_tell"]),
            *(_format_interval(figures[column]) for column in columns),
        ]
        for name, figures in summary["by_annotator"].items()
    ]
    header = ["annotator", "judgements", "not placed" if ranked else "can't tell", *columns.values()]
    return JudgementSummary(agreement, summary["warning"], header, annotators)


def _format_interval(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return "–"
    return f"{interval['value']:.3f} [{interval['low']:.2f}, {interval['high']:.2f}]"


CAPTIONS = {
    "removal": "Flagged pictures on broad prompts (→) and accepted or correct pictures (↑). The upper left is best.",
    "rows": "The main shares of each row, with their intervals (↑ more is better, ↓ less is better).",
    "attackers_steps": "The share of flagged pictures over the steps of the attackers, with intervals.",
    "thresholds": "Rates over the judge's threshold, with their intervals. The dotted line is the operating point.",
    "losses": "The training loss of each removal. Objectives differ: compare the shapes of the curves, not the values.",
    "equal_removal": "Each curve from the base model on: flagged pictures (→) against what is kept (↑). The upper left "
    "is best. Dashed curves are under the text.",
    "reward": "The reward model on held-out pictures, which were not used to train it.",
}


@dataclass(frozen=True)
class ConceptReports:
    """Reports of earlier stages, by concept."""

    feedback: Mapping[str, Mapping[str, Any]]
    """`labels/CONCEPT/summary.json`"""
    reward: Mapping[str, Mapping[str, Any]]
    """`reward/CONCEPT/report.json`"""
    tokens: Mapping[str, Mapping[str, Any]]
    """`tokens/CONCEPT/check.json`"""


def write_page(
    path: Path,
    params: Params,
    evaluation: Mapping[str, Any],
    variants: Sequence[EvaluatedVariant],
    plots: Mapping[str, str],
    reports: ConceptReports,
) -> None:
    """Write the report page. `variants` starts with base; `plots` maps names to SVG."""
    roles = evaluation["suites"]
    suites = {suite: _describe_suite(params, suite, role) for suite, role in roles.items()}
    suites |= {name: ATTACK_SUITE[attack["acts_on"]] for name, attack in evaluation["attacks"].items()}
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template.filters |= {"percent": lambda value: f"{100 * value:.1f}\u202f%"}
    source = (files("hfi_core.report") / "templates" / "page.html").read_text(encoding="utf-8")
    text = template.from_string(source).render(
        model=params.release.model,
        release=params.release.row,
        simulated=any(summary["simulated"] for summary in reports.feedback.values()),
        concepts=params.concepts,
        judge=params.evaluate.judge,
        level=f"{100 * params.evaluate.level:g}",
        pictures=len(variants[0].records),
        broad_pictures=evaluation["rows"][0]["metrics"][f"flagged@{first_suite('broad', roles)}"]["n"],
        gates=check_gates(evaluation, params.release.row, params.release.gates),
        findings=list_findings(evaluation),
        headlines=list_headlines(evaluation),
        table=[_describe_row(row, params.release.row, list_headlines(evaluation)) for row in evaluation["rows"]],
        all_figures=list(zip(*build_comparison_table(evaluation, list_metrics(evaluation)), strict=True)),
        needed={share: pairs_needed(0.05, share, level=params.evaluate.level) for share in (0.1, 0.2, 0.5)},
        comparisons=[_describe_comparison(comparison) for comparison in evaluation["comparisons"]],
        attacks=evaluation["attacks"],
        attack_table=build_attack_table(evaluation),
        trained_prompts=evaluation.get("unseen", {}).get("suites", {}),
        unseen=build_unseen_table(evaluation),
        rounds=build_round_table(evaluation.get("rounds", ())),
        curves=describe_curves(curves) if (curves := evaluation.get("curves")) else None,
        levels=params.evaluate.removal_levels,
        uncalibrated=list_uncalibrated(evaluation),
        attackers=_list_attackers(evaluation),
        thresholds=build_threshold_table(evaluation) if has_curves(evaluation) else None,
        grids=(grids := {suite: build_strips(variants, suite) for suite in suites}),
        strip_length=max(len(strips[0].pictures) for strips in grids.values()),
        plots=_embed_plots(plots),
        captions=CAPTIONS,
        reports=reports,
        judgements={name: describe_judgements(summary) for name, summary in reports.feedback.items()},
        people=describe_people(evaluation) if "people" in evaluation else None,
        definitions=(*FIGURES, *PEOPLE_FIGURES) if "people" in evaluation else FIGURES,
        suites=suites,
        provenance=_flatten(evaluation["provenance"]),
        differ=evaluation["provenance"]["differ"],
    )
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _describe_suite(params: Params, suite: str, role: str) -> str:
    concept = params.evaluate.suites[suite].concept
    return ROLES[role] + (f" Of the concept {concept}." if concept else "")


def _describe_row(row: Mapping[str, Any], release: str, headlines: Sequence[str]) -> dict[str, Any]:
    """Return a row of the main table. `bar` holds positions in percent, and is None unless the figure is a share."""
    cells = []
    for metric in headlines:
        figure = row["metrics"][metric]
        cells.append(
            {
                "value": format_value(metric, figure["value"]),
                "range": format_range(metric, figure),
                "bar": {
                    "left": round(100 * figure["low"], 2),
                    "width": round(100 * (figure["high"] - figure["low"]), 2),
                    "at": round(100 * figure["value"], 2),
                }
                if is_share(metric)
                else None,
            }
        )
    method = row["method"] if row["condition"] is None else f"{row['method']} on the {row['condition']}"
    if row["method"] == "none":
        method = "unchanged model"
    return {"row": row["row"], "method": method, "released": row["row"] == release, "cells": cells}


def _describe_comparison(comparison: Mapping[str, Any]) -> dict[str, str]:
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


def _list_attackers(evaluation: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for each attacker of attacks with several: the attack, the attacker, and its share by row."""
    rows = evaluation["rows"]
    return [
        [name, attacker, *(f"{100 * row['attacks'][name]['attackers'][attacker]:.1f}\u202f%" for row in rows)]
        for name in evaluation["attacks"]
        if len(attackers := rows[0]["attacks"][name]["attackers"]) > 1
        for attacker in attackers
    ]


def _embed_plots(plots: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return `data:` URLs of each plot for the light and the dark theme."""
    themes = {"light": ON_LIGHT, "dark": ON_DARK}
    return {
        name: {theme: data_uri(recolour(svg, colours).encode(), "image/svg+xml") for theme, colours in themes.items()}
        for name, svg in plots.items()
    }


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Turn nested mappings into dotted keys, and any other value into JSON."""
    flat: dict[str, str] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            flat |= _flatten(inner, f"{prefix}{key}.")
        else:
            flat[prefix + key] = inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
    return flat
