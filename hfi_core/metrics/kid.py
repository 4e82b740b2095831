"""Kernel distance between two rows' pictures, and its interval from subsets."""

import numpy as np

from hfi_core.metrics.intervals import Interval

SUBSETS = 200


def kid(features: np.ndarray, base: np.ndarray) -> float:
    """Squared MMD with the cubic kernel (x.y / D + 1)^3 (Binkowski et al. 2018) of features (N, D) at equal seeds.

    Rows share their seeds, so a picture and its counterpart are not independent: the estimator leaves out those pairs
    (Gretton et al. 2012, lemma 6 for equal sizes), stays unbiased, and is exactly 0 for a row against itself.
    Features come L2-normalised and are brought to the norm that the kernel is made for, the root of D.
    """
    return _paired_mmd2(_terms(features, base))


def kid_interval(features: np.ndarray, base: np.ndarray, *, level: float, rng: np.random.Generator) -> Interval:
    """`kid` with an interval from random halves, their spread scaled to the full size (Politis & Romano 1994)."""
    terms = _terms(features, base)
    n = len(terms)
    value, size = _paired_mmd2(terms), max(2, n // 2)
    subsets = (rng.choice(n, size, replace=False) for _ in range(SUBSETS))
    spread = np.array([_paired_mmd2(terms[np.ix_(chosen, chosen)]) for chosen in subsets]) - value
    # A half drawn without replacement shares pictures with the whole: (1 - size / n) is its finite-population factor.
    scale = np.sqrt(size / n / max(1 - size / n, 1 / n))
    low, high = value - scale * np.quantile(spread, [(1 + level) / 2, (1 - level) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n)


def _terms(features: np.ndarray, base: np.ndarray) -> np.ndarray:
    x, y = features.astype(np.float64), base.astype(np.float64)
    cross = _kernel(x, y)
    return _kernel(x, x) + _kernel(y, y) - cross - cross.T


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T + 1) ** 3


def _paired_mmd2(terms: np.ndarray) -> float:
    n = len(terms)
    return float((terms.sum() - np.trace(terms)) / (n * (n - 1)))
