"""Intervals over prompts and seeds: a cluster bootstrap, and Wilson's interval where the bootstrap degenerates."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean, its interval, and the number of pictures."""

    value: float
    low: float
    high: float
    n: int


def share_interval(
    hits: np.ndarray, prompts: np.ndarray, *, resamples: int, level: float, rng: np.random.Generator
) -> Interval:
    """Return the share of hits (bools, (N,)) with its interval; `prompts` (N,) gives the prompt of each picture.

    Where all pictures or none are hits, all resamples are equal, and the bootstrap would claim certainty. There it is
    Wilson's interval for n pictures, so no interval on finitely many pictures is [0, 0] or [1, 1].
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
    """Return the mean of paired differences of two bools ((N,), each -1, 0 or 1) with its interval.

    Where all differences are equal, the interval is as long as Wilson's for an event that did not occur in n pairs.
    """
    first, n = float(differences[0]), len(differences)
    if np.all(differences == first):
        length = zero_share_bound(n, level)
        return Interval(first, max(-1.0, first - length), min(1.0, first + length), n)
    return mean_interval(differences, prompts, resamples=resamples, level=level, rng=rng)


def mean_interval(
    values: np.ndarray, prompts: np.ndarray, *, resamples: int, level: float, rng: np.random.Generator
) -> Interval:
    """Return a mean over pictures with its percentile interval from a two-stage cluster bootstrap.

    Each resample draws prompts with replacement and then, within each drawn prompt, its seeds with replacement
    (Davison & Hinkley 1997, section 3.8). With P prompts, drawing prompts alone gives a variance that is too small by
    the factor (P - 1) / P, and drawing seeds adds too much. So the interval tends to be too wide, unless there are few
    prompts which differ much. With one prompt only the seeds vary: then the interval holds for that prompt only.
    """
    values = np.asarray(values, np.float64)
    means = resample_means(values, prompts, resamples=resamples, rng=rng)
    return percentile_interval(float(values.mean()), means, level, len(values))


def resample_means(values: np.ndarray, prompts: np.ndarray, *, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the means (resamples,) of a two-stage cluster bootstrap; see `mean_interval`.

    With equal prompts and equal generators, the same pictures are drawn.
    """
    table, sizes = group_by_prompt(values, prompts)
    means = []
    for drawn, seeds, used in draw_two_stage(sizes, resamples, rng):
        sums = np.where(used, table[drawn[:, :, None], seeds], 0.0).sum((1, 2))
        means.append(sums / used.sum((1, 2)))
    return np.concatenate(means)


def share_intervals(
    hits: np.ndarray, prompts: np.ndarray, *, resamples: int, level: float, rng: np.random.Generator
) -> list[Interval]:
    """Return `share_interval` of each column of hits (bools, (N, T)), all of them from the same resamples."""
    table, sizes = group_by_prompt(np.arange(len(hits)), prompts)
    positions, means = table.astype(np.int64), []
    for drawn, seeds, used in draw_two_stage(sizes, resamples, rng):
        count, n = len(drawn), len(hits)
        cells = (np.arange(count)[:, None, None] * n + positions[drawn[:, :, None], seeds])[used]
        times = np.bincount(cells, minlength=count * n).reshape(count, n)  # how often each picture is drawn
        means.append(times @ hits.astype(np.float64) / times.sum(1, keepdims=True))
    resampled = np.concatenate(means)
    return [
        percentile_interval(float(np.mean(column)), resampled[:, number], level, len(column))
        if column.any() and not column.all()
        else share_interval(column, prompts, resamples=resamples, level=level, rng=rng)
        for number, column in enumerate(hits.T)
    ]


def percentile_interval(value: float, resampled: np.ndarray, level: float, n: int) -> Interval:
    """Return a value of n pictures with the percentile interval of its resamples. It contains the value."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n)


def wilson_interval(hits: int, n: int, level: float) -> Interval:
    """Return a share with Wilson's (1927) interval, for independent trials."""
    from scipy.stats import binomtest  # takes half a second, which a run with nothing to do need not pay

    interval = binomtest(hits, n).proportion_ci(level, method="wilson")
    return Interval(hits / n, float(interval.low), float(interval.high), n)


def zero_share_bound(n: int, level: float) -> float:
    """Return Wilson's (1927) upper bound for the share of an event that occurred in none of n pictures."""
    from scipy.stats import norm

    z_squared = float(norm.ppf((1 + level) / 2)) ** 2
    return z_squared / (n + z_squared)


def draw_two_stage(
    sizes: np.ndarray, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield resamples of prompts that have `sizes` (P,) seeds, R resamples at a time.

    Yields the drawn prompts (R, P), the drawn indices of their seeds (R, P, S), and a mask of the indices in use
    (R, P, S): from each prompt as many as it has seeds.
    """
    clusters, widest = len(sizes), sizes.max()
    step = max(1, _DRAWS_AT_ONCE // (clusters * widest))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, clusters, (count, clusters))
        width = sizes[drawn][:, :, None]
        yield drawn, np.floor(rng.random((count, clusters, widest)) * width).astype(np.int64), np.arange(widest) < width


def group_by_prompt(values: np.ndarray, prompts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values as (prompts, largest number of seeds), padded with 0, and the number of seeds of each prompt."""
    _, cluster, sizes = np.unique(prompts, return_inverse=True, return_counts=True)
    order = np.argsort(cluster, kind="stable")
    column = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    table = np.zeros((len(sizes), sizes.max()))
    table[cluster[order], column] = values[order]
    return table, sizes
