"""Work in padded blocks of one size: kernels differ with the batch size, results must not."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

Item = TypeVar("Item")


@torch.no_grad()
def map_in_padded_batches(
    items: Sequence[Item], block: int, compute: Callable[[list[Item]], torch.Tensor]
) -> torch.Tensor:
    """`compute` of each item, (N, ...) in float32 on the CPU; `compute` always gets `block` items.

    The last block is filled up with its last item.
    """
    parts = []
    for start in range(0, len(items), block):
        part = list(items[start : start + block])
        filled = part + part[-1:] * (block - len(part))
        parts.append(compute(filled)[: len(part)].float().cpu())
    return torch.cat(parts)


def to_signed_tensor(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) as float32 (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
