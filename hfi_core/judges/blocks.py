"""Pictures in padded blocks of one size: kernels differ with the batch size, verdicts must not."""

from collections.abc import Callable

import numpy as np
import torch


@torch.no_grad()
def in_blocks(pictures: np.ndarray, block: int, score: Callable[[np.ndarray], torch.Tensor]) -> torch.Tensor:
    """Scores (N, ...) in float32 on the CPU; `score` maps uint8 (block, H, W, 3) to (block, ...)."""
    parts = []
    for start in range(0, len(pictures), block):
        part = pictures[start : start + block]
        padded = np.concatenate([part, np.repeat(part[-1:], block - len(part), axis=0)])
        parts.append(score(padded)[: len(part)].float().cpu())
    return torch.cat(parts)
