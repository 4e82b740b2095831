"""Measure how far annotators agree, corrected for chance."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from hfi_core.feedback.ledger import Vote
from hfi_core.metrics.intervals import Interval, wilson_interval, zero_share_bound

CONFIDENCE_LEVEL = 0.95
"""Coverage of the intervals of agreement and of annotators' accuracy."""


@dataclass
class Confusion:
    """Counts of an annotator's answers against the majority of the picture's other annotators.

    `yes_no` counts pictures where the annotator said yes and the majority of the others no.
    """

    yes_yes: int = 0
    yes_no: int = 0
    no_yes: int = 0
    no_no: int = 0

    @property
    def accuracy(self) -> Interval | None:
        """Share of answers that equal the others' majority; None without answers."""
        return estimate_share(self.yes_yes + self.no_no, self.yes_yes + self.yes_no + self.no_yes + self.no_no)

    @property
    def yes_found(self) -> Interval | None:
        """Sensitivity: share of yes where the others say yes."""
        return estimate_share(self.yes_yes, self.yes_yes + self.no_yes)

    @property
    def no_found(self) -> Interval | None:
        """Specificity: share of no where the others say no."""
        return estimate_share(self.no_no, self.no_no + self.yes_no)


def count_confusions(votes: Iterable[Vote]) -> dict[str, Confusion]:
    """Return each annotator's confusion table, sorted by annotator.

    `votes` have to be sorted by picture. A vote is not counted if the others are split, or nobody else said yes or no:
    there is no majority to compare with.
    """
    tables: dict[str, Confusion] = {}
    for _, votes_on_picture in groupby(votes, key=lambda vote: vote.picture):
        votes_given = [vote for vote in votes_on_picture if vote.answer != "cant_tell"]
        lead = sum(1 if vote.answer == "yes" else -1 for vote in votes_given)
        for vote in votes_given:
            table = tables.setdefault(vote.annotator, Confusion())
            others = lead - (1 if vote.answer == "yes" else -1)
            if others:
                cell = f"{vote.answer}_{'yes' if others > 0 else 'no'}"
                setattr(table, cell, getattr(table, cell) + 1)
    return dict(sorted(tables.items()))


def estimate_share(hits: int, n: int) -> Interval | None:
    """Return the share hits / n with Wilson's (1927) interval; None for n = 0."""
    return wilson_interval(hits, n, CONFIDENCE_LEVEL) if n else None


_RESAMPLES = 1000
_SEED = 0  # fixed, so that equal judgements get equal intervals


def krippendorff_alpha(counts: np.ndarray, level: Literal["nominal", "ordinal"] = "nominal") -> float | None:
    """Compute Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", part D).

    `counts` (units, values) holds how often each unit got each value; for ordinal data the columns are in the values'
    order. Missing answers are not counted. 1 is perfect agreement, 0 is agreement by chance. Returns None where alpha
    is undefined: no unit was judged twice, or all values are equal.
    """
    paired = counts[counts.sum(1) > 1]
    if (paired.sum(0) > 0).sum() < 2:
        return None
    totals, distance = paired.sum(0), _distance(paired.sum(0), level)
    observed = (((paired @ distance) * paired).sum(1) / (paired.sum(1) - 1)).sum()
    return float(1 - (totals.sum() - 1) * observed / (totals @ distance @ totals))


def _distance(totals: np.ndarray, level: str) -> np.ndarray:
    """Return the distances between values (C, C); for ordinal values the squared number of answers between them."""
    if level == "nominal":
        return 1.0 - np.eye(len(totals))
    middle = np.cumsum(totals) - totals / 2
    return (middle[:, None] - middle[None, :]) ** 2


def cohens_kappa(equal: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute Cohen's kappa (1960) of two judges who each say yes or no: agreement beyond that of chance.

    scikit-learn computes it of one sample; an interval needs it of each resample.

    Args:
        equal: (...), the share of equal answers.
        first: (...), the first judge's share of yes.
        second: (...), the second judge's.

    Returns (...); NaN where both judges always give the same one answer.
    """
    chance = first * second + (1 - first) * (1 - second)
    return np.divide(equal - chance, 1 - chance, out=np.full_like(chance, np.nan), where=chance < 1)


def kendalls_w(scores: np.ndarray) -> float | None:
    """Compute Kendall's W (Kendall & Babington Smith 1939) of complete rankings, corrected for ties.

    `scores` (annotators, pictures) are numbers of which only the order counts. 1 is perfect agreement, 0 is none.
    Returns None where W is undefined: fewer than two annotators or pictures, or everything is tied.
    """
    annotators, pictures = scores.shape
    if annotators < 2 or pictures < 2:
        return None
    ranks = rankdata(scores, axis=1)
    spread = ((ranks.sum(0) - annotators * (pictures + 1) / 2) ** 2).sum()
    ties = sum(((count := np.unique(row, return_counts=True)[1]) ** 3 - count).sum() for row in ranks)
    max_deviation = annotators**2 * (pictures**3 - pictures) - annotators * ties
    return float(12 * spread / max_deviation) if max_deviation > 0 else None


def count_ranks(sets: Iterable[np.ndarray]) -> np.ndarray:
    """Count how often each picture was ranked first, second, ... within its set: (pictures of all sets, ranks)."""
    ranked = [np.array([np.unique(row, return_inverse=True)[1] for row in scores]) for scores in sets]
    width = max((int(ranks.max()) + 1 for ranks in ranked), default=0)
    counts = [np.stack([(ranks == k).sum(0) for k in range(width)], 1) for ranks in ranked]
    return np.concatenate(counts) if counts else np.empty((0, 0), int)


def alpha_interval(counts: np.ndarray, level: Literal["nominal", "ordinal"] = "nominal") -> Interval | None:
    """Return Krippendorff's alpha with its interval over the units that were judged at least twice."""
    paired = counts[counts.sum(1) > 1]
    value = krippendorff_alpha(paired, level)
    if value is None:
        return None
    n_v, n = paired.sum(0), paired.sum()
    # 1 - alpha is observed over expected disagreement. Where none was observed, Wilson's bound stands for it.
    expected = (n**2 - (n_v**2).sum()) / (n * (n - 1))
    return _bootstrap_interval(value, paired, lambda resample: krippendorff_alpha(resample, level), 1 / expected)


def mean_w_interval(sets: Iterable[np.ndarray]) -> Interval | None:
    """Return the mean of Kendall's W over sets of pictures that several annotators ranked, with its interval."""
    values = np.array([w for scores in sets if (w := kendalls_w(scores)) is not None])
    if not len(values):
        return None
    return _bootstrap_interval(float(values.mean()), values, lambda resample: float(resample.mean()), 1.0)


def _bootstrap_interval(
    value: float, units: np.ndarray, statistic: Callable[[np.ndarray], float | None], scale: float
) -> Interval:
    """Return the percentile interval of a bootstrap over units.

    Under perfect agreement all resamples would be equal; the lower bound is then Wilson's.
    """
    n = len(units)
    if value == 1:
        return Interval(1.0, max(-1.0, 1 - scale * zero_share_bound(n, CONFIDENCE_LEVEL)), 1.0, n)
    rng = np.random.default_rng(_SEED)
    values = [statistic(units[rng.integers(0, n, n)]) for _ in range(_RESAMPLES)]
    defined = [number for number in values if number is not None] or [value]
    low, high = np.quantile(defined, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n)
