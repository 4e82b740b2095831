"""The variety of pictures: the Vendi score of equally large samples, with its interval."""

import numpy as np

from hfi_core.metrics.intervals import Interval

VENDI_SAMPLE = 32
"""Pictures in a sample. The score grows with the number of pictures, so all samples have the same size."""
_SAMPLES = 64
"""Random samples whose scores are averaged."""


def vendi_score(features: np.ndarray) -> np.ndarray:
    """Return the Vendi score (Friedman & Dieng 2023) of L2-normalised features (..., N, D): shape (...).

    It is the exponential of the entropy of the eigenvalues of K / N, where K holds the cosines: 1 if all pictures are
    equal, N if all are orthogonal.
    """
    kernel = features @ np.swapaxes(features, -1, -2) / features.shape[-2]
    eigenvalues = np.clip(np.linalg.eigvalsh(kernel), np.finfo(np.float64).tiny, None)
    return np.exp(-(eigenvalues * np.log(eigenvalues)).sum(-1))


def vendi_interval(features: np.ndarray, prompts: np.ndarray, *, level: float, rng: np.random.Generator) -> Interval:
    """Return the mean Vendi score of random samples of VENDI_SAMPLE of the features (N, D), with its interval.

    Samples have no picture twice. Of fewer features, the only sample is all of them. `prompts` (N,) gives the prompt of
    each picture. The interval is that of the jackknife which leaves out one prompt at a time (Efron & Stein 1981), or
    one picture where all have one prompt. A bootstrap would not do: it draws pictures twice, which lowers the score.
    """
    from scipy.stats import norm  # see intervals.py

    n = len(features)
    if n == 0:
        return Interval(0.0, 0.0, 0.0, 0)
    clusters = np.unique(prompts, return_inverse=True)[1]
    if clusters.max() == 0:
        clusters = np.arange(n)
    # The same keys whatever is left out: the samples then differ by what was left out alone.
    order = np.argsort(rng.random((_SAMPLES, n)), axis=1)
    features = features.astype(np.float64)
    value, count = _mean_score(features, order), clusters.max() + 1
    if count == 1:
        return Interval(value, value, value, n)
    partial = np.array([_mean_score(features, _leave_out(order, clusters == left_out)) for left_out in range(count)])
    error = float(np.sqrt((count - 1) / count * np.square(partial - partial.mean()).sum()))
    length = float(norm.ppf((1 + level) / 2)) * error
    return Interval(value, max(1.0, value - length), value + length, n)


def _leave_out(order: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Return orders (S, N - k) without the k pictures that are marked (N,)."""
    return order[~left_out[order]].reshape(len(order), -1)


def _mean_score(features: np.ndarray, order: np.ndarray) -> float:
    """Return the mean score of the samples that the first columns of `order` (S, N) name."""
    if order.shape[1] <= VENDI_SAMPLE:
        order = order[:1]
    return float(vendi_score(features[order[:, :VENDI_SAMPLE]]).mean())
