"""Tests between two rows at equal prompts and seeds, and the correction for making several of them."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Exact two-sided p of McNemar's test (1947): pictures in which the rows differ fall either way equally often.

    It takes pictures as independent; where the effect differs much between prompts, the interval of the difference,
    which resamples prompts, is the more careful figure.
    """
    only_first = int(np.sum(first & ~second))
    differing = only_first + int(np.sum(second & ~first))
    return float(binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given."""
    adjusted = np.empty(len(ps))
    running = 0.0
    for rank, index in enumerate(np.argsort(ps, kind="stable")):
        running = max(running, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = running
    return adjusted.tolist()
