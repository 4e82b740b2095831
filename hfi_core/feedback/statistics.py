"""Count the judgements on a concept and measure how far annotators agree."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from hfi_core import params
from hfi_core.errors import UserError
from hfi_core.feedback.aggregation import count_votes
from hfi_core.feedback.agreement import Confusion, alpha_interval, count_confusions, count_ranks, mean_w_interval
from hfi_core.feedback.ledger import Ledger, Totals
from hfi_core.feedback.ranking import collect_rank_matrices
from hfi_core.metrics.intervals import Interval

Measure = Literal["krippendorff_alpha", "kendalls_w"]

DECIDING_MEASURE: Mapping[str, Measure] = {"binary": "krippendorff_alpha", "ranking": "kendalls_w"}
"""The measure that the thresholds in `feedback.agreement` apply to, by kind of feedback."""


@dataclass
class AnnotatorStatistics:
    """Figures on one person or simulated annotator."""

    judgements: int = 0
    cant_tell: int = 0
    """Answers that are not votes; for rankings, pictures that could not be ranked."""
    seconds: float | None = None
    """Median time from question to answer."""
    confusion: Confusion = field(default_factory=Confusion)
    """Answers against the majority of the others; empty for rankings."""


@dataclass(frozen=True)
class Statistics:
    """Figures over all counting judgements on a concept."""

    kind: str
    totals: Totals
    pictures: int
    cant_tell: int
    agreement: Mapping[Measure, Interval | None]
    annotators: Mapping[str, AnnotatorStatistics]
    seconds: float | None

    @property
    def deciding_agreement(self) -> Interval | None:
        """The agreement that the thresholds in `feedback.agreement` apply to."""
        return self.agreement[DECIDING_MEASURE[self.kind]]


def compute_statistics(ledger: Ledger, kind: str) -> Statistics:
    """Compute the figures over a ledger that holds one kind of feedback.

    A lead's decisions are counted, but do not contribute to agreement.
    """
    annotators: dict[str, AnnotatorStatistics] = defaultdict(AnnotatorStatistics)
    spent: dict[str, list[float]] = defaultdict(list)
    for name, seconds in ledger.answer_times():
        annotators[name].judgements += 1
        if seconds is not None:
            spent[name].append(seconds)
    for name, times in spent.items():
        annotators[name].seconds = float(np.median(times))
    pictures, agreement = (_binary if kind == "binary" else _ranking)(ledger, annotators)
    return Statistics(
        kind=kind,
        totals=ledger.totals(),
        pictures=pictures,
        cant_tell=sum(annotator.cant_tell for annotator in annotators.values()),
        agreement=agreement,
        annotators=dict(sorted(annotators.items())),
        seconds=float(np.median([seconds for times in spent.values() for seconds in times])) if spent else None,
    )


def _binary(ledger: Ledger, annotators: dict[str, AnnotatorStatistics]) -> tuple[int, dict[Measure, Interval | None]]:
    unaided = ledger.unaided()
    unsure = Counter(vote.annotator for vote in ledger.votes() if vote.answer == "cant_tell")
    for name, count in unsure.items():
        annotators[name].cant_tell = count
    for name, table in count_confusions(unaided.votes()).items():
        annotators[name].confusion = table
    pictures = sum(1 for _ in ledger.tallies())
    return pictures, {"krippendorff_alpha": alpha_interval(count_votes(unaided.tallies())), "kendalls_w": None}


def _ranking(ledger: Ledger, annotators: dict[str, AnnotatorStatistics]) -> tuple[int, dict[Measure, Interval | None]]:
    pictures, unaided = set[str](), ledger.unaided()
    for ranking in ledger.rankings():
        annotators[ranking.annotator].cant_tell += len(ranking.not_applicable)
        pictures.update(ranking.not_applicable, *ranking.groups)
    return len(pictures), {
        "krippendorff_alpha": alpha_interval(count_ranks(collect_rank_matrices(unaided.rankings())), "ordinal"),
        "kendalls_w": mean_w_interval(collect_rank_matrices(unaided.rankings())),
    }


MEASURE_NAMES = {"krippendorff_alpha": "Krippendorff's alpha", "kendalls_w": "Kendall's W"}
"""Names of the measures, for people."""

MEASURE_UNITS = {"krippendorff_alpha": "pictures", "kendalls_w": "sets of pictures"}
"""The units over which each measure is computed."""

_NEVER = -1
"""The value of `warn_below` that never warns: no agreement is below it."""

_REMEDY = (
    "`hfi feedback stats` shows who differs from the others; make the guidelines clearer, and have the disputed "
    "pictures judged again"
)


def check_agreement(statistics: Statistics, thresholds: params.Agreement, concept: str, file: Path) -> str | None:
    """Return a warning if agreement is below `warn_below` or undefined; None if it suffices.

    Raises UserError if agreement is below `refuse_below`, or if `refuse_below` is set and agreement is undefined.
    """
    name = MEASURE_NAMES[DECIDING_MEASURE[statistics.kind]]
    agreement = statistics.deciding_agreement
    if agreement is None:
        finding = f"{concept}: the annotators' agreement is unknown ({name} is undefined)"
        why = "no picture was answered by two of them, or every answer is the same"
        if thresholds.refuse_below is not None:
            raise UserError(
                f"{file}: {finding}, and feedback.agreement.refuse_below requires {thresholds.refuse_below:g}: {why}.\n"
                "  To fix this: have pictures judged by several people, or set feedback.agreement.refuse_below to null."
            )
        return f"{finding}: {why}." if thresholds.warn_below > _NEVER else None
    interval = f"[{agreement.low:.3f}, {agreement.high:.3f}]"
    finding = f"{concept}: annotators agree too little: {name} is {agreement.value:.3f} {interval}"
    if thresholds.refuse_below is not None and agreement.value < thresholds.refuse_below:
        raise UserError(
            f"{file}: {finding}, and feedback.agreement.refuse_below requires {thresholds.refuse_below:g}.\n"
            f"  To fix this: {_REMEDY}, or lower feedback.agreement.refuse_below."
        )
    if agreement.value < thresholds.warn_below:
        return f"{finding}, below feedback.agreement.warn_below {thresholds.warn_below:g}; {_REMEDY}."
    return None
