"""Intervals over prompts and seeds together: a cluster bootstrap, and Wilson's interval where that degenerates."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm

_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean, its interval, and the number of pictures behind it."""

    value: float
    low: float
    high: float
    n: int


def share_interval(
    hits: np.ndarray, prompts: np.ndarray, *, resamples: int, level: float, rng: np.random.Generator
) -> Interval:
    """A share of pictures (bools, (N,)) with its interval; `prompts` (N,) says which belong together.

    Where all pictures or none are hits every resample is alike and the bootstrap would claim certainty: there it is
    Wilson's interval for n pictures, so that no interval on finitely many pictures is [0, 0] or [1, 1].
    """
    value, n = float(np.mean(hits)), len(hits)
    if value == 0:
        return Interval(0.0, 0.0, zero_share_bound(n, level), n)
    if value == 1:
        return Interval(1.0, 1.0 - zero_share_bound(n, level), 1.0, n)
    return mean_interval(hits, prompts, resamples=resamples, level=level, rng=rng)


def difference_interval(
    differences: np.ndarray, prompts: np.ndarray, *, resamples: int, level: float, rng: np.random.Generator
) -> Interval:
    """The mean of paired differences of two bools ((N,), each -1, 0 or 1) with its interval.

    Where all are alike the interval reaches as far as Wilson's does for something never seen in n pairs.
    """
    first, n = float(differences[0]), len(differences)
    if np.all(differences == first):
        room = zero_share_bound(n, level)
        return Interval(first, max(-1.0, first - room), min(1.0, first + room), n)
    return mean_interval(differences, prompts, resamples=resamples, level=level, rng=rng)


def mean_interval(
    values: np.ndarray, prompts: np.ndarray, *, resamples: int, level: float, rng: np.random.Generator
) -> Interval:
    """A mean over pictures with its percentile interval from a two-stage cluster bootstrap.

    Each resample draws prompts with replacement and then, within each drawn prompt, its seeds with replacement
    (Davison & Hinkley 1997, section 3.8). With P prompts the drawn prompts alone spread too little, by (P - 1) / P,
    and the drawn seeds add more than their share, so the interval errs to the wide side unless prompts differ much and
    are few. With one prompt only the seeds vary: the interval then speaks of that prompt and of no other.
    """
    values = np.asarray(values, np.float64)
    table, sizes = group_by_prompt(values, prompts)
    means = []
    for drawn, seeds, used in draw_two_stage(sizes, resamples, rng):
        sums = np.where(used, table[drawn[:, :, None], seeds], 0.0).sum((1, 2))
        means.append(sums / used.sum((1, 2)))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    value = float(values.mean())
    return Interval(value, min(float(low), value), max(float(high), value), len(values))


def wilson_interval(hits: int, n: int, level: float) -> Interval:
    """A share with Wilson's (1927) interval, for independent trials."""
    found = binomtest(hits, n).proportion_ci(level, method="wilson")
    return Interval(hits / n, float(found.low), float(found.high), n)


def zero_share_bound(n: int, level: float) -> float:
    """Wilson's (1927) upper bound for the share of something that none of n pictures showed."""
    z_squared = float(norm.ppf((1 + level) / 2)) ** 2
    return z_squared / (n + z_squared)


def draw_two_stage(
    sizes: np.ndarray, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Resamples for prompts of so many seeds (P,), some R of them at a time.

    Yields the drawn prompts (R, P), places among each one's seeds (R, P, S), and which of these count (R, P, S): a
    prompt gives as many as it has.
    """
    clusters, widest = len(sizes), sizes.max()
    step = max(1, _DRAWS_AT_ONCE // (clusters * widest))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, clusters, (count, clusters))
        width = sizes[drawn][:, :, None]
        yield drawn, np.floor(rng.random((count, clusters, widest)) * width).astype(np.int64), np.arange(widest) < width


def group_by_prompt(values: np.ndarray, prompts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values as (prompts, most seeds), padded with 0, and the number of seeds of each prompt."""
    _, cluster, sizes = np.unique(prompts, return_inverse=True, return_counts=True)
    order = np.argsort(cluster, kind="stable")
    place = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    table = np.zeros((len(sizes), sizes.max()))
    table[cluster[order], place] = values[order]
    return table, sizes
