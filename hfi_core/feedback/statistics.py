"""What judgements on a concept say about themselves: how many, by whom, and how far people agree."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from hfi_core import params
from hfi_core.errors import UserError
from hfi_core.feedback.aggregation import vote_counts
from hfi_core.feedback.agreement import Confusion, alpha_interval, confusions, mean_w_interval, place_counts
from hfi_core.feedback.ledger import Ledger, Totals
from hfi_core.feedback.ranking import shared_sets
from hfi_core.metrics.intervals import Interval

Measure = Literal["krippendorff_alpha", "kendalls_w"]

DECIDING: Mapping[str, Measure] = {"binary": "krippendorff_alpha", "ranking": "kendalls_w"}
"""The measure that `feedback.agreement` bounds, by kind of feedback."""


@dataclass
class Annotator:
    """What one person (or simulated annotator) did."""

    judgements: int = 0
    cant_tell: int = 0
    """Answers that are no vote; for rankings, pictures that could not be placed."""
    seconds: float | None = None
    """Median from question to answer."""
    confusion: Confusion = field(default_factory=Confusion)
    """Against the others' majority; empty for rankings."""


@dataclass(frozen=True)
class Statistics:
    """Figures over all counting judgements on a concept."""

    kind: str
    totals: Totals
    pictures: int
    cant_tell: int
    agreement: Mapping[Measure, Interval | None]
    annotators: Mapping[str, Annotator]
    seconds: float | None

    @property
    def deciding(self) -> Interval | None:
        """The agreement that `feedback.agreement` bounds."""
        return self.agreement[DECIDING[self.kind]]


def statistics_of(ledger: Ledger, kind: str) -> Statistics:
    """Count, compare and time the judgements of a ledger that holds one kind of feedback.

    A lead's decisions are counted, and left out of how far people agree.
    """
    annotators: dict[str, Annotator] = defaultdict(Annotator)
    spent: dict[str, list[float]] = defaultdict(list)
    for name, seconds in ledger.pace():
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
        cant_tell=sum(one.cant_tell for one in annotators.values()),
        agreement=agreement,
        annotators=dict(sorted(annotators.items())),
        seconds=float(np.median([one for times in spent.values() for one in times])) if spent else None,
    )


def _binary(ledger: Ledger, annotators: dict[str, Annotator]) -> tuple[int, dict[Measure, Interval | None]]:
    unaided = ledger.unaided()
    unsure = Counter(vote.annotator for vote in ledger.votes() if vote.answer == "cant_tell")
    for name, count in unsure.items():
        annotators[name].cant_tell = count
    for name, table in confusions(unaided.votes()).items():
        annotators[name].confusion = table
    pictures = sum(1 for _ in ledger.tallies())
    return pictures, {"krippendorff_alpha": alpha_interval(vote_counts(unaided.tallies())), "kendalls_w": None}


def _ranking(ledger: Ledger, annotators: dict[str, Annotator]) -> tuple[int, dict[Measure, Interval | None]]:
    pictures, unaided = set[str](), ledger.unaided()
    for order in ledger.orders():
        annotators[order.annotator].cant_tell += len(order.not_applicable)
        pictures.update(order.not_applicable, *order.groups)
    return len(pictures), {
        "krippendorff_alpha": alpha_interval(place_counts(shared_sets(unaided.orders())), "ordinal"),
        "kendalls_w": mean_w_interval(shared_sets(unaided.orders())),
    }


THRESHOLDS = {"krippendorff_alpha": "Krippendorff's alpha", "kendalls_w": "Kendall's W"}
"""Measures by the words that people know them by."""

UNITS = {"krippendorff_alpha": "pictures", "kendalls_w": "sets of pictures"}
"""What each is taken over: what several people judged."""

_NEVER = -1
"""A `warn_below` that nothing is below."""

_REMEDY = (
    "look at `hfi feedback stats` for who differs from the others, make the guidelines clearer, and have the disputed "
    "pictures judged again"
)


def warning_of(statistics: Statistics, bars: params.Agreement, concept: str, file: Path) -> str | None:
    """What there is to warn about, in a sentence.

    Raises UserError below `refuse_below`, or if a bar is set there and nothing shows the agreement.
    """
    name = THRESHOLDS[DECIDING[statistics.kind]]
    found = statistics.deciding
    if found is None:
        said = f"{concept}: how far annotators agree cannot be told ({name} is undefined)"
        why = "no picture was answered by two of them, or every answer is the same"
        if bars.refuse_below is not None:
            raise UserError(
                f"{file}: {said}, and feedback.agreement.refuse_below asks for {bars.refuse_below:g}: {why}.\n"
                "  To mend it: have pictures judged by several people, or set feedback.agreement.refuse_below to null."
            )
        return f"{said}: {why}." if bars.warn_below > _NEVER else None
    said = f"{concept}: annotators agree too little: {name} is {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
    if bars.refuse_below is not None and found.value < bars.refuse_below:
        raise UserError(
            f"{file}: {said}, and feedback.agreement.refuse_below asks for {bars.refuse_below:g}.\n"
            f"  To mend it: {_REMEDY}, or lower feedback.agreement.refuse_below."
        )
    if found.value < bars.warn_below:
        return f"{said}, below feedback.agreement.warn_below {bars.warn_below:g}; {_REMEDY}."
    return None
