"""Binary judgements become a label a picture: the share of votes, or a posterior that weighs the annotators."""

import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.labels import Label, split_of
from hfi_core.feedback.ledger import Ledger, Tally, Vote

_MOST_STEPS = 200
_TOLERANCE = 1e-6  # of the log likelihood a vote, between two steps
_DECIMALS = 6  # last bits differ between machines


def dawid_skene(votes: Iterable[Vote]) -> dict[str, float]:
    """P(yes) of every picture with a vote, by expectation-maximisation that starts from the shares of votes.

    Each annotator gets a chance of a wrong yes and of a wrong no. It is a maximum of the likelihood, without a prior:
    one answer says nothing about its annotator, and an annotator who shares no picture with others is believed.
    The result depends on nothing but the votes and their order, which is the ledger's.
    """
    rows = [(vote.picture, vote.annotator, vote.answer) for vote in votes if vote.answer != "cant_tell"]
    if len({answer for _, _, answer in rows}) < 2:  # nothing to tell annotators apart by
        return {picture: float(answer == "yes") for picture, _, answer in rows}
    # Seconds to import: pandas, scikit-learn and nltk come with it (no torch).
    from crowdkit.aggregation.classification.dawid_skene import DawidSkene
    from pandas import DataFrame

    model = DawidSkene(n_iter=_MOST_STEPS, tol=_TOLERANCE)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of pandas, about crowd-kit
        chances = model.fit_predict_proba(DataFrame(rows, columns=["task", "worker", "label"]))["yes"]
    return {picture: round(float(chance), _DECIMALS) for picture, chance in chances.items()}


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
            tally.yes, tally.no, tally.cant_tell, split_of(tally.picture, held_out),
        )
        for tally in tallies
        if tally.yes + tally.no and tally.yes + tally.no + tally.cant_tell >= minimum
    ]  # fmt: skip


def vote_counts(tallies: Iterable[Tally]) -> np.ndarray:
    """(pictures, 2): how often each was answered yes and no; "can't tell" is no vote."""
    return np.array([[tally.yes, tally.no] for tally in tallies]).reshape(-1, 2)
