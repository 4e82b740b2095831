"""Binary judgements become a label a picture: the share of votes, or a posterior that weighs the annotators."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.dawid_skene import dawid_skene
from hfi_core.feedback.labels import Label
from hfi_core.feedback.ledger import Ledger, Tally
from hfi_core.feedback.parts import part_of

SHARE_OF_VOTES = "share of votes"
DAWID_SKENE = "posterior of Dawid & Skene"

AGGREGATIONS = {"majority": SHARE_OF_VOTES, "dawid-skene": DAWID_SKENE}
"""What `feedback.labels` names, in the words of summaries."""


def binary_labels(
    ledger: Ledger, how: str, candidates: Mapping[str, Candidate], minimum: int, held_out: float
) -> list[Label]:
    """The labels of a concept by one of `AGGREGATIONS`; all votes weigh annotators, also those on other pictures."""
    if how == "majority":
        return labelled(ledger.tallies(), share_of_votes, candidates, minimum, held_out)
    chances = dawid_skene(ledger.votes())
    return labelled(ledger.tallies(), lambda tally: chances[tally.picture], candidates, minimum, held_out)


def share_of_votes(tally: Tally) -> float:
    """yes / (yes + no)."""
    return tally.yes / (tally.yes + tally.no)


def labelled(
    tallies: Iterable[Tally],
    value: Callable[[Tally], float],
    candidates: Mapping[str, Candidate],
    minimum: int,
    held_out: float,
) -> list[Label]:
    """A label for each picture with `minimum` judgements of which one says yes or no."""
    return [
        Label(
            tally.picture, candidates[tally.picture].sha256, value(tally),
            tally.yes, tally.no, tally.cant_tell, part_of(tally.picture, held_out),
        )
        for tally in tallies
        if tally.yes + tally.no and tally.yes + tally.no + tally.cant_tell >= minimum
    ]  # fmt: skip


def vote_counts(tallies: Iterable[Tally]) -> np.ndarray:
    """(pictures, 2): how often each was answered yes and no; "can't tell" is no vote."""
    return np.array([[tally.yes, tally.no] for tally in tallies]).reshape(-1, 2)
