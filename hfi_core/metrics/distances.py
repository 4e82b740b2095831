"""Distances between a model's pictures and the base model's pictures at equal seeds."""

from collections.abc import Iterable

import numpy as np

from hfi_core.metrics.intervals import Interval, draw_two_stage, group_by_prompt

CLIP_SCORE_WEIGHT = 2.5


def clip_score(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return CLIPScore (Hessel et al. 2021), 2.5 max(cos, 0), of L2-normalised features (N, D) each; shape (N,)."""
    return CLIP_SCORE_WEIGHT * np.maximum(np.einsum("nd,nd->n", images.astype(np.float64), texts.astype(np.float64)), 0)


def cosine_drift(features: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return 1 - cosine of L2-normalised features (N, D) at equal seeds; shape (N,), between 0 and 2."""
    return np.clip(1 - np.einsum("nd,nd->n", features.astype(np.float64), base.astype(np.float64)), 0, 2)


def pixel_drift(pictures: Iterable[np.ndarray], base: Iterable[np.ndarray]) -> np.ndarray:
    """Return the root mean squared difference of N pictures, uint8 (H, W, 3), as a share of full scale (N,).

    The pictures are read one by one, and none is stored.
    """
    squares = [np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2) for a, b in zip(pictures, base, strict=True)]
    return np.sqrt(squares) / 255


def kid_interval(
    features: np.ndarray,
    base: np.ndarray,
    prompts: np.ndarray,
    *,
    resamples: int,
    level: float,
    rng: np.random.Generator,
) -> Interval:
    """Return the kernel distance (KID) of features (N, D) at equal seeds, with its interval.

    It is the squared MMD with the cubic kernel (x.y / D + 1)^3 (Binkowski et al. 2018). The features come
    L2-normalised; the kernel expects a norm of the root of D, so here it is (x.y + 1)^3. Both models draw with the same
    seeds, so a picture and its counterpart are not independent. The estimator leaves out those pairs (Gretton et al.
    2012, lemma 6 for equal sizes). So it is unbiased, and exactly 0 for a model against itself.

    Resamples draw prompts and then their seeds, as for a mean (Davison & Hinkley 1997, section 3.8); `prompts` (N,)
    gives the prompt of each picture. A picture that is drawn twice does not form a pair with itself. The interval is
    the basic one (section 5.2), because resamples are biased upwards: two seeds of one prompt are nearer to each other
    than seeds of two prompts. Where the distributions are equal, the interval is too wide, because a bootstrap
    overstates the variance of a degenerate U-statistic (Arcones & Gine 1992).
    """
    terms = _terms(features, base)
    members, sizes = group_by_prompt(np.arange(len(terms)), prompts)
    value, resampled = _paired_mmd2(terms), []
    for drawn, seeds, used in draw_two_stage(sizes, resamples, rng):
        pictures = members[drawn[:, :, None], seeds].astype(np.int64)
        resample = np.broadcast_to(np.arange(len(drawn))[:, None, None], pictures.shape)
        weights = np.zeros((len(drawn), len(terms)))
        np.add.at(weights, (resample[used], pictures[used]), 1)
        resampled.append(_weighted_mmd2(terms, weights))
    values = np.concatenate(resampled)
    # A resample of one picture alone has no pairs. With two pictures, half of the resamples are such.
    low, high = 2 * value - np.quantile(values[np.isfinite(values)], [(1 + level) / 2, (1 - level) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), len(terms))


def _terms(features: np.ndarray, base: np.ndarray) -> np.ndarray:
    x, y = features.astype(np.float64), base.astype(np.float64)
    cross = _kernel(x, y)
    return _kernel(x, x) + _kernel(y, y) - cross - cross.T


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T + 1) ** 3


def _paired_mmd2(terms: np.ndarray) -> float:
    n = len(terms)
    return float((terms.sum() - np.trace(terms)) / (n * (n - 1)))


def _weighted_mmd2(terms: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the same (R,) for pictures with multiplicities (R, N); NaN where only one picture is drawn."""
    squares = weights**2
    pairs = weights.sum(1) ** 2 - squares.sum(1)
    sums = ((weights @ terms) * weights).sum(1) - squares @ np.diag(terms)
    return np.divide(sums, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
