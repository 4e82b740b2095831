"""Paired tests of two models at equal prompts and seeds, and the correction for several tests."""

from collections.abc import Sequence

import numpy as np


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return the exact two-sided p-value of McNemar's test (1947).

    The null hypothesis is that pictures in which the models differ do so equally often in both directions. The test
    assumes independent pictures. Where the effect differs much between prompts, the interval of the difference, which
    resamples prompts, is more cautious.
    """
    from scipy.stats import binomtest  # see intervals.py

    only_first = int(np.sum(first & ~second))
    differing = only_first + int(np.sum(second & ~first))
    return float(binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) adjusted p-values, in the given order."""
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted.tolist()
