"""How far pictures at equal seeds have moved from the base model's."""

from collections.abc import Iterable

import numpy as np


def cosine_drift(features: np.ndarray, base: np.ndarray) -> np.ndarray:
    """1 - cosine of L2-normalised features (N, D) at equal seeds: (N,), between 0 and 2."""
    return np.clip(1 - np.einsum("nd,nd->n", features.astype(np.float64), base.astype(np.float64)), 0, 2)


def pixel_drift(pictures: Iterable[np.ndarray], base: Iterable[np.ndarray]) -> np.ndarray:
    """Root mean squared difference of N uint8 pictures (H, W, 3) at equal seeds, as a share of full scale: (N,).

    Pictures are taken one by one, and none is kept.
    """
    squares = [np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2) for a, b in zip(pictures, base, strict=True)]
    return np.sqrt(squares) / 255
