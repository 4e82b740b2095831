"""Binary labels that weigh each annotator by their own errors (Dawid & Skene 1979), with crowd-kit."""

import warnings
from collections.abc import Iterable

from hfi_core.feedback.ledger import Vote

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
