"""How far annotators agree, corrected for chance."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from hfi_core.feedback.ledger import Vote
from hfi_core.metrics.intervals import Interval, never_seen, wilson_interval

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


_RESAMPLES = 1000
_SEED = 0  # of the resamples: equal judgements get equal intervals


def krippendorff_alpha(counts: np.ndarray, level: Literal["nominal", "ordinal"] = "nominal") -> float | None:
    """Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", part D).

    `counts` (U, C) holds how often each unit got each value, for ordinal data in the values' order; missing answers are
    simply not counted. 1 is perfect agreement, 0 what chance gives. None where it is undefined: no unit was judged
    twice, or all values are equal.
    """
    paired = counts[counts.sum(1) > 1]
    if (paired.sum(0) > 0).sum() < 2:
        return None
    totals, distance = paired.sum(0), _distance(paired.sum(0), level)
    observed = (((paired @ distance) * paired).sum(1) / (paired.sum(1) - 1)).sum()
    return float(1 - (totals.sum() - 1) * observed / (totals @ distance @ totals))


def _distance(totals: np.ndarray, level: str) -> np.ndarray:
    """How far two values are apart (C, C): of ordinal ones, the square of the answers that lie between them."""
    if level == "nominal":
        return 1.0 - np.eye(len(totals))
    middle = np.cumsum(totals) - totals / 2
    return (middle[:, None] - middle[None, :]) ** 2


def kendalls_w(scores: np.ndarray) -> float | None:
    """Kendall's W (Kendall & Babington Smith 1939), corrected for ties, of complete rankings.

    `scores` (annotators, pictures), any numbers of which the order counts. 1 is perfect agreement, 0 none. None where
    it is undefined: fewer than two annotators or pictures, or all tied.
    """
    annotators, pictures = scores.shape
    if annotators < 2 or pictures < 2:
        return None
    ranks = rankdata(scores, axis=1)
    spread = ((ranks.sum(0) - annotators * (pictures + 1) / 2) ** 2).sum()
    ties = sum(((count := np.unique(row, return_counts=True)[1]) ** 3 - count).sum() for row in ranks)
    most = annotators**2 * (pictures**3 - pictures) - annotators * ties
    return float(12 * spread / most) if most > 0 else None


def place_counts(sets: Iterable[np.ndarray]) -> np.ndarray:
    """(pictures of all sets, places): how often each picture was put first, second, ... among those of its set."""
    ranked = [np.array([np.unique(row, return_inverse=True)[1] for row in scores]) for scores in sets]
    most = max((int(places.max()) + 1 for places in ranked), default=0)
    counts = [np.stack([(places == k).sum(0) for k in range(most)], 1) for places in ranked]
    return np.concatenate(counts) if counts else np.empty((0, 0), int)


def alpha_interval(counts: np.ndarray, level: Literal["nominal", "ordinal"] = "nominal") -> Interval | None:
    """Krippendorff's alpha with its interval over units that were judged twice."""
    paired = counts[counts.sum(1) > 1]
    value = krippendorff_alpha(paired, level)
    if value is None:
        return None
    n_v, n = paired.sum(0), paired.sum()
    # 1 - alpha is observed over expected disagreement; where none was observed, Wilson's bound takes its place.
    expected = (n**2 - (n_v**2).sum()) / (n * (n - 1))
    return _resampled(value, paired, lambda drawn: krippendorff_alpha(drawn, level), 1 / expected)


def mean_w_interval(sets: Iterable[np.ndarray]) -> Interval | None:
    """Kendall's W of each set of pictures that several annotators ranked, averaged, with its interval over sets."""
    values = np.array([w for scores in sets if (w := kendalls_w(scores)) is not None])
    if not len(values):
        return None
    return _resampled(float(values.mean()), values, lambda drawn: float(drawn.mean()), 1.0)


def _resampled(
    value: float, units: np.ndarray, statistic: Callable[[np.ndarray], float | None], scale: float
) -> Interval:
    """Percentiles of a bootstrap over units; where all agree, and every resample would be alike, Wilson's bound."""
    n = len(units)
    if value == 1:
        return Interval(1.0, max(-1.0, 1 - scale * never_seen(n, LEVEL)), 1.0, n)
    rng = np.random.default_rng(_SEED)
    drawn = [statistic(units[rng.integers(0, n, n)]) for _ in range(_RESAMPLES)]
    defined = [found for found in drawn if found is not None] or [value]
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n)
