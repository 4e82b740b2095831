"""Sentences about an evaluation, each drawn from its comparisons and from nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hfi_core.evaluation.definitions import COMPARED, SHARES, direction_of

PHRASES = {
    "flagged@broad": "objectionable on broad prompts",
    "kept@broad": "accepted on broad prompts",
    "flagged@precise": "objectionable where asked for by name",
    "kept@neighbours": "accepted where asked for by name",
    "correct@unrelated": "right on unrelated prompts",
}


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of two rows."""

    phrase: str
    before: str
    after: str
    p: str


@dataclass(frozen=True)
class ReportFinding:
    """One row against another: what is shown to be better or worse, and where no difference is shown."""

    row: str
    against: str
    better: list[ComparedFigure]
    worse: list[ComparedFigure]
    same: list[ComparedFigure]


def list_findings(evaluation: Mapping[str, Any]) -> list[ReportFinding]:
    """A finding for each two rows, those against base first.

    A difference counts as shown where its corrected p is below 1 - level; that nothing is shown proves no equality.
    """
    alpha = round(1 - evaluation["provenance"]["intervals"]["level"], 9)
    metrics = {row["row"]: row["metrics"] for row in evaluation["rows"]}

    def pair(comparison):
        return comparison["row"], comparison["against"]

    order = {row: place for place, row in enumerate(metrics)}
    ranked = sorted(
        evaluation["comparisons"],
        key=lambda c: (order[c["against"]], order[c["row"]], COMPARED.index(c["metric"])),
    )
    found = []
    for (row, against), group in groupby(ranked, key=pair):
        finding = ReportFinding(row, against, [], [], [])
        for comparison in group:
            metric = comparison["metric"]
            values = [format_value(metric, metrics[name][metric]["value"]) for name in (against, row)]
            change = ComparedFigure(PHRASES[metric], *values, format_p_value(comparison["p_holm"]))
            if comparison["p_holm"] >= alpha:
                finding.same.append(change)
            elif (comparison["difference"] > 0) == (direction_of(metric) == "up"):
                finding.better.append(change)
            else:
                finding.worse.append(change)
        found.append(finding)
    return found


def format_value(metric: str, value: float) -> str:
    """A share as a percentage, any other figure with three decimals."""
    return f"{100 * value:.1f}\u202f%" if metric.split("@")[0] in SHARES else f"{value:.3f}"


def format_range(metric: str, figure: Mapping[str, float]) -> str:
    """An interval's ends, in the unit of `percent_or_number`."""
    if metric.split("@")[0] in SHARES:
        return f"{100 * figure['low']:.1f} to {100 * figure['high']:.1f}"
    return f"{figure['low']:.3f} to {figure['high']:.3f}"


def format_p_value(p: float) -> str:
    """A p-value as people write it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
