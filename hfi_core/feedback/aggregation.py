"""Aggregate binary judgements to a label per picture: the share of votes, or a posterior that weighs annotators."""

import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.labels import Label, assign_split
from hfi_core.feedback.ledger import Ledger, Tally, Vote

_MAX_STEPS = 200
_TOLERANCE = 1e-6  # of the log likelihood per vote, between two steps
_DECIMALS = 6  # the last bits differ between machines


def fit_dawid_skene(votes: Iterable[Vote]) -> dict[str, float]:
    """Estimate P(yes) of every picture with a vote by the model of Dawid & Skene (1979).

    Expectation-maximisation starts from the shares of votes and estimates, for each annotator, the probabilities of a
    wrong yes and of a wrong no. There is no prior: a single answer gives no information about its annotator, and an
    annotator who shares no picture with others is taken to be right. The result depends only on the votes and their
    order, which is the ledger's.
    """
    answers = [(vote.picture, vote.annotator, vote.answer) for vote in votes if vote.answer != "cant_tell"]
    if len({answer for _, _, answer in answers}) < 2:  # annotators do not differ, so there is nothing to fit
        return {picture: float(answer == "yes") for picture, _, answer in answers}
    # Imported here because it takes seconds: it loads pandas, scikit-learn and nltk (but not torch).
    from crowdkit.aggregation.classification.dawid_skene import DawidSkene
    from pandas import DataFrame

    model = DawidSkene(n_iter=_MAX_STEPS, tol=_TOLERANCE)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # pandas warns about crowd-kit
        probabilities = model.fit_predict_proba(DataFrame(answers, columns=["task", "worker", "label"]))["yes"]
    return {picture: round(float(probability), _DECIMALS) for picture, probability in probabilities.items()}


SHARE_OF_VOTES = "share of votes"
DAWID_SKENE = "posterior of Dawid & Skene"

AGGREGATIONS = {"majority": SHARE_OF_VOTES, "dawid-skene": DAWID_SKENE}
"""Names of the methods in summaries, by the value of `feedback.labels`."""


def make_binary_labels(
    ledger: Ledger,
    aggregation: str,
    candidates: Mapping[str, Candidate],
    minimum: int,
    for_attacks: float,
    for_judge: float = 0.0,
) -> list[Label]:
    """Make the labels of a concept by one of `AGGREGATIONS`.

    Dawid & Skene's method weighs annotators by their votes, including those on pictures that get no label. Labels to
    learn from follow from votes on such pictures alone: else they would depend on answers that are held out.
    """
    if aggregation == "majority":
        return make_labels(ledger.tallies(), share_of_votes, candidates, minimum, for_attacks, for_judge)
    votes = [(assign_split(vote.picture, for_attacks, for_judge), vote) for vote in ledger.votes()]
    probabilities: dict[str, float] = {}
    for part in sorted({own for own, _ in votes}):
        fitted = fit_dawid_skene(vote for own, vote in votes if own in ("learn", part))
        probabilities |= {
            picture: chance
            for picture, chance in fitted.items()
            if assign_split(picture, for_attacks, for_judge) == part
        }
    return make_labels(
        ledger.tallies(), lambda tally: probabilities[tally.picture], candidates, minimum, for_attacks, for_judge
    )


def share_of_votes(tally: Tally) -> float:
    """Return yes / (yes + no)."""
    return tally.yes / (tally.yes + tally.no)


def make_labels(
    tallies: Iterable[Tally],
    label_of: Callable[[Tally], float],
    candidates: Mapping[str, Candidate],
    minimum: int,
    for_attacks: float,
    for_judge: float = 0.0,
) -> list[Label]:
    """Make a label for each picture that has `minimum` judgements and at least one yes or no."""
    return [
        Label(
            tally.picture, candidates[tally.picture].sha256, label_of(tally),
            tally.yes, tally.no, tally.cant_tell, assign_split(tally.picture, for_attacks, for_judge),
        )
        for tally in tallies
        if tally.yes + tally.no and tally.yes + tally.no + tally.cant_tell >= minimum
    ]  # fmt: skip


def count_votes(tallies: Iterable[Tally]) -> np.ndarray:
    """Return an array (pictures, 2) with the number of yes and no votes on each; "can't tell" is not a vote."""
    return np.array([[tally.yes, tally.no] for tally in tallies]).reshape(-1, 2)
