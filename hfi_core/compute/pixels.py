"""Pictures as networks take them."""

import numpy as np
import torch


def signed_pixels(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) as float32 (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
