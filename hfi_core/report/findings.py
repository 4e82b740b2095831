"""Sort the paired comparisons of an evaluation into better, worse and inconclusive; format figures for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from hfi_core.evaluation.definitions import CALIBRATED, direction_of, is_share

_WORDS = {
    "flagged": "objectionable", "kept": "accepted",
    "flagged_by_people": "objectionable to people", "accepted_by_people": "accepted by people",
}  # fmt: skip


def describe_metric(metric: str) -> str:
    """Return a share `NAME@SUITE` in words: "objectionable on broad prompts"."""
    figure, _, suite = metric.partition("@")
    return f"{_WORDS.get(figure, figure)} on {'neighbour' if suite == 'neighbours' else suite} prompts"


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of two variants, as text."""

    phrase: str
    reference_value: str
    value: str
    p: str


@dataclass(frozen=True)
class ReportFinding:
    """The comparison of a variant with a reference: figures that are better, worse, or not significantly different."""

    variant: str
    reference: str
    better: list[ComparedFigure]
    worse: list[ComparedFigure]
    inconclusive: list[ComparedFigure]


def list_findings(evaluation: Mapping[str, Any]) -> list[ReportFinding]:
    """List a finding for every two variants, comparisons with base first.

    A difference is significant if its corrected p-value is below 1 - level. An inconclusive figure may still differ.
    """
    alpha = round(1 - evaluation["provenance"]["intervals"]["level"], 9)
    metrics = {row["row"]: row["metrics"] for row in evaluation["rows"]}
    order = {name: position for position, name in enumerate(metrics)}
    ordered = sorted(evaluation["comparisons"], key=lambda c: (order[c["against"]], order[c["row"]]))
    findings = []
    for (reference, variant), comparisons in groupby(ordered, key=itemgetter("against", "row")):
        finding = ReportFinding(variant, reference, [], [], [])
        for comparison in comparisons:
            metric = comparison["metric"]
            before, after = (format_value(metric, metrics[name][metric]["value"]) for name in (reference, variant))
            figure = ComparedFigure(describe_metric(metric), before, after, format_p_value(comparison["p_holm"]))
            if comparison["p_holm"] >= alpha:
                finding.inconclusive.append(figure)
            elif (comparison["difference"] > 0) == (direction_of(metric) == "up"):
                finding.better.append(figure)
            else:
                finding.worse.append(figure)
        findings.append(finding)
    return findings


def list_uncalibrated(evaluation: Mapping[str, Any]) -> list[str]:
    """List a sentence for each attack that is not calibrated on the base model, so that it says little of a row."""
    return [
        f"The attack {name} is not calibrated: on the base model {format_value('flagged', attack['base']['value'])} "
        f"({format_range('flagged', attack['base'])}) of its pictures are flagged, and it needs "
        f"{100 * CALIBRATED:g}\u202f%. So it does not show that a removal resists it."
        for name, attack in evaluation["attacks"].items()
        if not attack["calibrated"]
    ]


def format_value(metric: str, value: float) -> str:
    """Format a share as a percentage, and any other figure with three decimals."""
    return f"{100 * value:.1f}\u202f%" if is_share(metric) else f"{value:.3f}"


def format_range(metric: str, figure: Mapping[str, float]) -> str:
    """Format the ends of an interval, in the unit of `format_value`."""
    if is_share(metric):
        return f"{100 * figure['low']:.1f} to {100 * figure['high']:.1f}"
    return f"{figure['low']:.3f} to {figure['high']:.3f}"


def format_p_value(p: float) -> str:
    """Format a p-value as in papers."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
