"""Derive seeds and generators from keys. There is no hidden state, so a resumed run repeats every draw exactly."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # gates and comparisons need a NumPy generator only
    import torch


def derive_seed(*key: object) -> int:
    """Derive a 63-bit seed from the parts of a key. It is the same on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in key).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def picture_seed(*key: object) -> int:
    """Derive a 31-bit seed for one picture's noise. Every sampler and every file format accepts 31 bits."""
    return derive_seed(*key) % 2**31


def torch_generator(*key: object) -> torch.Generator:
    """Return a CPU generator for one purpose. Draw on the CPU, then move the tensor: so the device changes no draw."""
    import torch

    return torch.Generator().manual_seed(derive_seed(*key))


def numpy_generator(*key: object) -> np.random.Generator:
    """Return a NumPy generator for one purpose."""
    return np.random.default_rng(derive_seed(*key))
