"""Measure how well scores rank and match labels, with a bootstrap interval over pictures for each figure.

A resample is a row of multiplicities (how often each picture is drawn). So one matrix product computes thousands.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, roc_auc_score

from hfi_core.metrics.intervals import zero_share_bound

Statistic = Callable[[np.ndarray], np.ndarray]
"""Maps multiplicities (R, N) to values (R,); NaN where the value of a resample is undefined."""

_CHUNK_ELEMENTS = 4_000_000
_BINS = 10


@dataclass(frozen=True)
class Resampling:
    """Settings of the bootstrap; `seed` is for `numpy.random.default_rng`."""

    resamples: int
    level: float
    seed: int


@dataclass(frozen=True)
class Measurement:
    """A value with its interval, over `n` pictures or pairs; None where it is undefined, as for constant scores."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def bootstrap(statistic: Statistic, pictures: int, resampling: Resampling) -> tuple[float | None, float | None]:
    """Return the percentile interval (Efron 1979) of a statistic over pictures drawn with replacement."""
    rng = np.random.default_rng(resampling.seed)
    chunk = max(1, _CHUNK_ELEMENTS // max(pictures, 1))
    values = []
    for start in range(0, resampling.resamples, chunk):
        rows = min(chunk, resampling.resamples - start)
        drawn = rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=rows).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            values.append(statistic(drawn))
    resampled = np.concatenate(values)
    resampled = resampled[np.isfinite(resampled)]
    if not len(resampled):
        return None, None
    low, high = np.quantile(resampled, [(1 - resampling.level) / 2, (1 + resampling.level) / 2])
    return float(low), float(high)


def auc(scores: np.ndarray, positive: np.ndarray, resampling: Resampling) -> Measurement:
    """Return the area under the ROC curve: how often a positive has a higher score than a negative."""
    order, starts = _tie_groups(scores)

    def statistic(drawn: np.ndarray) -> np.ndarray:
        hits = np.add.reduceat((drawn * positive)[:, order], starts, axis=1)
        others = np.add.reduceat((drawn * ~positive)[:, order], starts, axis=1)
        below = np.cumsum(others, axis=1) - others
        return (hits * (below + others / 2)).sum(1) / (hits.sum(1) * others.sum(1))

    value = float(roc_auc_score(positive, scores)) if positive.any() and not positive.all() else None
    # The largest number of pairs of a positive and a negative that share no picture.
    trials = int(min(positive.sum(), (~positive).sum()))
    return Measurement(value, *_share_interval(value, statistic, len(scores), trials, resampling), len(scores))


def accuracy(scores: np.ndarray, positive: np.ndarray, resampling: Resampling) -> Measurement:
    """Return the share of pictures whose score is on the same side of one half as their label."""
    right = ((scores > 0.5) == positive).astype(np.float64)
    value, n = float(accuracy_score(positive, scores > 0.5)), len(scores)
    return Measurement(value, *_share_interval(value, lambda drawn: drawn @ right / drawn.sum(1), n, n, resampling), n)


def calibration_error(scores: np.ndarray, labels: np.ndarray, resampling: Resampling) -> Measurement:
    """Return the expected calibration error in ten equal bins (Naeini et al. 2015); labels may be shares of votes."""
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    member = np.eye(_BINS)[bins]

    def statistic(drawn: np.ndarray) -> np.ndarray:
        # In a bin of m pictures, m |mean score - mean label| is |sum of (score - label)|.
        return np.abs(drawn @ (member * (scores - labels)[:, None])).sum(1) / drawn.sum(1)

    value = float(statistic(np.ones((1, len(scores))))[0])
    return Measurement(value, *bootstrap(statistic, len(scores), resampling), len(scores))


def pair_accuracy(
    scores: np.ndarray, above: np.ndarray, below: np.ndarray, weight: np.ndarray, resampling: Resampling
) -> Measurement:
    """Return the weighted share of pairs (indices of pictures) that scores and people order alike; ties count half."""
    right = weight * (0.5 + 0.5 * np.sign(scores[above] - scores[below]))

    def statistic(drawn: np.ndarray) -> np.ndarray:
        values = []
        for row in drawn:  # row by row: there may be many more pairs than pictures
            both = row[above] * row[below]
            values.append(both @ right / (both @ weight))
        return np.array(values)

    value = float(right.sum() / weight.sum())
    trials = max(1, len(np.unique([above, below])) // 2)
    return Measurement(value, *_share_interval(value, statistic, len(scores), trials, resampling), len(above))


def spearman(scores: np.ndarray, labels: np.ndarray, resampling: Resampling) -> Measurement:
    """Return Spearman's rank correlation of scores and labels."""
    groups = [_tie_groups(values) for values in (scores, labels)]

    def statistic(drawn: np.ndarray) -> np.ndarray:
        x, y = (_midranks(drawn, *group) for group in groups)
        total = drawn.sum(1, keepdims=True)
        x, y = (ranks - (drawn * ranks).sum(1, keepdims=True) / total for ranks in (x, y))
        return (drawn * x * y).sum(1) / np.sqrt((drawn * x * x).sum(1) * (drawn * y * y).sum(1))

    constant = min(len(np.unique(scores)), len(np.unique(labels))) < 2
    value = None if constant else float(spearmanr(scores, labels).statistic)
    return Measurement(value, *bootstrap(statistic, len(scores), resampling), len(scores))


def _share_interval(
    value: float | None, statistic: Statistic, pictures: int, trials: int, resampling: Resampling
) -> tuple[float | None, float | None]:
    """Return the bootstrap interval of a share; where it is 0 or 1, Wilson's for `trials` independent trials."""
    if value == 0:
        return 0.0, zero_share_bound(trials, resampling.level)
    if value == 1:
        return 1.0 - zero_share_bound(trials, resampling.level), 1.0
    return bootstrap(statistic, pictures, resampling)


def _tie_groups(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order that sorts the values, and where in it each run of equal values starts."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _midranks(drawn: np.ndarray, order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the ranks (R, N) of pictures with multiplicities (R, N); ties have the mean rank."""
    group = np.add.reduceat(drawn[:, order], starts, axis=1)
    rank = np.cumsum(group, axis=1) - group + (group + 1) / 2
    member = np.empty(len(order), np.intp)
    member[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    return rank[:, member]
