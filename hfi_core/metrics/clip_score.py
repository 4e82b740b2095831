"""Reference-free agreement of picture and prompt."""

import numpy as np

WEIGHT = 2.5


def clip_score(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """CLIPScore (Hessel et al. 2021): 2.5 max(cos, 0) of L2-normalised features (N, D) each: (N,)."""
    return WEIGHT * np.maximum(np.einsum("nd,nd->n", images.astype(np.float64), texts.astype(np.float64)), 0)
