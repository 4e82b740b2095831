"""How far pictures at equal seeds have moved from the base model's."""

from collections.abc import Iterable

import numpy as np

from hfi_core.metrics.intervals import Interval, draw_two_stage, group_by_prompt

CLIP_SCORE_WEIGHT = 2.5


def clip_score(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """CLIPScore (Hessel et al. 2021): 2.5 max(cos, 0) of L2-normalised features (N, D) each: (N,)."""
    return CLIP_SCORE_WEIGHT * np.maximum(np.einsum("nd,nd->n", images.astype(np.float64), texts.astype(np.float64)), 0)


def cosine_drift(features: np.ndarray, base: np.ndarray) -> np.ndarray:
    """1 - cosine of L2-normalised features (N, D) at equal seeds: (N,), between 0 and 2."""
    return np.clip(1 - np.einsum("nd,nd->n", features.astype(np.float64), base.astype(np.float64)), 0, 2)


def pixel_drift(pictures: Iterable[np.ndarray], base: Iterable[np.ndarray]) -> np.ndarray:
    """Root mean squared difference of N uint8 pictures (H, W, 3) at equal seeds, as a share of full scale: (N,).

    Pictures are taken one by one, and none is kept.
    """
    squares = [np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2) for a, b in zip(pictures, base, strict=True)]
    return np.sqrt(squares) / 255


def kid(features: np.ndarray, base: np.ndarray) -> float:
    """Squared MMD with the cubic kernel (x.y / D + 1)^3 (Binkowski et al. 2018) of features (N, D) at equal seeds.

    Rows share their seeds, so a picture and its counterpart are not independent: the estimator leaves out those pairs
    (Gretton et al. 2012, lemma 6 for equal sizes), stays unbiased, and is exactly 0 for a row against itself.
    Features come L2-normalised and are brought to the norm that the kernel is made for, the root of D.
    """
    return _paired_mmd2(_terms(features, base))


def kid_interval(
    features: np.ndarray,
    base: np.ndarray,
    prompts: np.ndarray,
    *,
    resamples: int,
    level: float,
    rng: np.random.Generator,
) -> Interval:
    """`kid` with its interval; `prompts` (N,) says which pictures belong together.

    Resamples draw prompts and then their seeds, as for a mean (Davison & Hinkley 1997, section 3.8). A picture that is
    drawn twice is no pair with itself, and the interval is the basic one (section 5.2), which takes off what resamples
    lie higher by: two seeds of a prompt are nearer than those of two prompts. Where the distributions are equal, what
    resamples add to a degenerate U-statistic (Arcones & Gine 1992) makes it too wide.
    """
    terms = _terms(features, base)
    members, sizes = group_by_prompt(np.arange(len(terms)), prompts)
    value, found = _paired_mmd2(terms), []
    for drawn, seeds, used in draw_two_stage(sizes, resamples, rng):
        pictures = members[drawn[:, :, None], seeds].astype(np.int64)
        place = np.broadcast_to(np.arange(len(drawn))[:, None, None], pictures.shape)
        weights = np.zeros((len(drawn), len(terms)))
        np.add.at(weights, (place[used], pictures[used]), 1)
        found.append(_weighted_mmd2(terms, weights))
    found = np.concatenate(found)
    # One picture over and over has no pairs; of two pictures that is every second resample.
    low, high = 2 * value - np.quantile(found[np.isfinite(found)], [(1 + level) / 2, (1 - level) / 2])
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
    """The same (R,) for pictures that count so often each (R, N); NaN where only one counts."""
    squares = weights**2
    pairs = weights.sum(1) ** 2 - squares.sum(1)
    sums = ((weights @ terms) * weights).sum(1) - squares @ np.diag(terms)
    return np.divide(sums, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
