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


def pairs_needed(difference: float, differing: float, *, level: float, power: float = 0.8) -> int:
    """Return how many pairs McNemar's test needs to see a difference of two shares (Connor 1987).

    Args:
        difference: of the shares of two models, in (0, 1).
        differing: share of pairs in which the models differ, from `difference` to 1.
        level: 1 - significance, for the two-sided test.
        power: probability that the test sees the difference.
    """
    from scipy.stats import norm  # see intervals.py

    significance, strength = norm.ppf((1 + level) / 2), norm.ppf(power)
    spread = significance * np.sqrt(differing) + strength * np.sqrt(differing - difference**2)
    return int(np.ceil((spread / difference) ** 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) adjusted p-values, in the given order."""
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted.tolist()
