"""How well scores order and match labels, each figure with a bootstrap interval over pictures.

A resample is a row of multiplicities (how often each picture was drawn), so that thousands are one matrix product.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, roc_auc_score

from hfi_core.metrics.intervals import zero_share_bound

Statistic = Callable[[np.ndarray], np.ndarray]
"""Multiplicities (R, N) to values (R,); NaN where a resample leaves the value undefined."""

_CHUNK_ELEMENTS = 4_000_000
_BINS = 10


@dataclass(frozen=True)
class Resampling:
    """How intervals are made; `seed` is for `numpy.random.default_rng`."""

    resamples: int
    level: float
    seed: int


@dataclass(frozen=True)
class Measurement:
    """A value with its interval, over `n` pictures or pairs; None where it is undefined (constant scores, say)."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def bootstrap(statistic: Statistic, pictures: int, how: Resampling) -> tuple[float | None, float | None]:
    """Percentile interval (Efron 1979) of a statistic when pictures are drawn again with replacement."""
    rng = np.random.default_rng(how.seed)
    chunk = max(1, _CHUNK_ELEMENTS // max(pictures, 1))
    values = []
    for start in range(0, how.resamples, chunk):
        rows = min(chunk, how.resamples - start)
        drawn = rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=rows).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            values.append(statistic(drawn))
    found = np.concatenate(values)
    found = found[np.isfinite(found)]
    if not len(found):
        return None, None
    low, high = np.quantile(found, [(1 - how.level) / 2, (1 + how.level) / 2])
    return float(low), float(high)


def auc(scores: np.ndarray, positive: np.ndarray, how: Resampling) -> Measurement:
    """Area under the ROC curve: how often a positive scores above a negative."""
    order, starts = _tie_groups(scores)

    def of(drawn: np.ndarray) -> np.ndarray:
        hits = np.add.reduceat((drawn * positive)[:, order], starts, axis=1)
        others = np.add.reduceat((drawn * ~positive)[:, order], starts, axis=1)
        below = np.cumsum(others, axis=1) - others
        return (hits * (below + others / 2)).sum(1) / (hits.sum(1) * others.sum(1))

    value = float(roc_auc_score(positive, scores)) if positive.any() and not positive.all() else None
    # Each class's pictures make so many pairs that share no picture.
    apart = int(min(positive.sum(), (~positive).sum()))
    return Measurement(value, *_share_interval(value, of, len(scores), apart, how), len(scores))


def accuracy(scores: np.ndarray, positive: np.ndarray, how: Resampling) -> Measurement:
    """Share of pictures whose score lies on their label's side of one half."""
    right = ((scores > 0.5) == positive).astype(np.float64)
    value, n = float(accuracy_score(positive, scores > 0.5)), len(scores)
    return Measurement(value, *_share_interval(value, lambda drawn: drawn @ right / drawn.sum(1), n, n, how), n)


def calibration_error(scores: np.ndarray, labels: np.ndarray, how: Resampling) -> Measurement:
    """Expected calibration error in ten equal bins (Naeini et al. 2015); labels may be shares of votes."""
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    member = np.eye(_BINS)[bins]

    def of(drawn: np.ndarray) -> np.ndarray:
        # In a bin of m pictures, m |mean score - mean label| is |sum of (score - label)|.
        return np.abs(drawn @ (member * (scores - labels)[:, None])).sum(1) / drawn.sum(1)

    value = float(of(np.ones((1, len(scores))))[0])
    return Measurement(value, *bootstrap(of, len(scores), how), len(scores))


def pair_accuracy(
    scores: np.ndarray, above: np.ndarray, below: np.ndarray, weight: np.ndarray, how: Resampling
) -> Measurement:
    """Weighted share of pairs (indices of pictures) that the scores order as people did; equal scores count half."""
    right = weight * (0.5 + 0.5 * np.sign(scores[above] - scores[below]))

    def of(drawn: np.ndarray) -> np.ndarray:
        values = []
        for row in drawn:  # pairs may be far more than pictures
            both = row[above] * row[below]
            values.append(both @ right / (both @ weight))
        return np.array(values)

    value = float(right.sum() / weight.sum())
    apart = max(1, len(np.unique([above, below])) // 2)
    return Measurement(value, *_share_interval(value, of, len(scores), apart, how), len(above))


def spearman(scores: np.ndarray, labels: np.ndarray, how: Resampling) -> Measurement:
    """Spearman's rank correlation of scores and labels."""
    groups = [_tie_groups(values) for values in (scores, labels)]

    def of(drawn: np.ndarray) -> np.ndarray:
        x, y = (_midranks(drawn, *group) for group in groups)
        total = drawn.sum(1, keepdims=True)
        x, y = (ranks - (drawn * ranks).sum(1, keepdims=True) / total for ranks in (x, y))
        return (drawn * x * y).sum(1) / np.sqrt((drawn * x * x).sum(1) * (drawn * y * y).sum(1))

    constant = min(len(np.unique(scores)), len(np.unique(labels))) < 2
    value = None if constant else float(spearmanr(scores, labels).statistic)
    return Measurement(value, *bootstrap(of, len(scores), how), len(scores))


def _share_interval(
    value: float | None, statistic: Statistic, pictures: int, apart: int, how: Resampling
) -> tuple[float | None, float | None]:
    """The bootstrap's interval of a share; where no resample can differ, Wilson's for `apart` independent trials."""
    if value == 0:
        return 0.0, zero_share_bound(apart, how.level)
    if value == 1:
        return 1.0 - zero_share_bound(apart, how.level), 1.0
    return bootstrap(statistic, pictures, how)


def _tie_groups(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorting order of values, and where in it each run of equal ones starts."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _midranks(drawn: np.ndarray, order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Ranks (R, N) of pictures that are drawn several times; ties share the mean rank."""
    group = np.add.reduceat(drawn[:, order], starts, axis=1)
    rank = np.cumsum(group, axis=1) - group + (group + 1) / 2
    member = np.empty(len(order), np.intp)
    member[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    return rank[:, member]
