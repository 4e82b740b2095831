"""Compute in padded batches of one size, because kernels differ with the batch size and results must not."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

Item = TypeVar("Item")


@torch.no_grad()
def map_in_padded_batches(
    items: Sequence[Item], block: int, compute: Callable[[list[Item]], torch.Tensor]
) -> torch.Tensor:
    """Apply `compute` to batches of exactly `block` items; return (N, ...) in float32 on the CPU.

    The last batch is padded with its last item.
    """
    parts = []
    for start in range(0, len(items), block):
        part = list(items[start : start + block])
        padded = part + part[-1:] * (block - len(part))
        parts.append(compute(padded)[: len(part)].float().cpu())
    return torch.cat(parts)


def to_signed_tensor(pictures: np.ndarray) -> torch.Tensor:
    """Return pictures, uint8 (N, H, W, 3), as float32 (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
