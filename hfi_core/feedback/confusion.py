"""How often one annotator answers as the others do: a confusion table against their majority, without the one."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from hfi_core.feedback.ledger import Vote
from hfi_core.metrics.intervals import Interval, wilson_interval

LEVEL = 0.95
"""Coverage of the intervals of agreement and of annotators."""


@dataclass
class Confusion:
    """An annotator's answers where the other annotators of the picture have a majority: `yes_no` is yes, theirs no."""

    yes_yes: int = 0
    yes_no: int = 0
    no_yes: int = 0
    no_no: int = 0

    @property
    def accuracy(self) -> Interval | None:
        """Share of answers that are the others'; None without any."""
        return wilson(self.yes_yes + self.no_no, self.yes_yes + self.yes_no + self.no_yes + self.no_no)

    @property
    def yes_found(self) -> Interval | None:
        """Share of yes where the others say yes (sensitivity)."""
        return wilson(self.yes_yes, self.yes_yes + self.no_yes)

    @property
    def no_found(self) -> Interval | None:
        """Share of no where the others say no (specificity)."""
        return wilson(self.no_no, self.no_no + self.yes_no)


def confusions(votes: Iterable[Vote]) -> dict[str, Confusion]:
    """By annotator, sorted; `votes` come with those on one picture one after the other.

    Where the others are split, or nobody else said yes or no, there is no consensus to compare with.
    """
    found: dict[str, Confusion] = {}
    for _, same in groupby(votes, key=lambda vote: vote.picture):
        given = [vote for vote in same if vote.answer != "cant_tell"]
        lead = sum(1 if vote.answer == "yes" else -1 for vote in given)
        for vote in given:
            table = found.setdefault(vote.annotator, Confusion())
            others = lead - (1 if vote.answer == "yes" else -1)
            if others:
                cell = f"{vote.answer}_{'yes' if others > 0 else 'no'}"
                setattr(table, cell, getattr(table, cell) + 1)
    return dict(sorted(found.items()))


def wilson(hits: int, n: int) -> Interval | None:
    """A share with Wilson's (1927) interval; None of nothing."""
    return wilson_interval(hits, n, LEVEL) if n else None
