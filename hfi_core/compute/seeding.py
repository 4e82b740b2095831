"""Randomness without hidden state: every draw names what it is for, so that a resumed run repeats it exactly."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # gates and comparisons want a NumPy generator, and no torch
    import torch


def seed_of(*key: object) -> int:
    """A 63-bit seed from the parts of a key, equal on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in key).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def picture_seed(*key: object) -> int:
    """A seed for one picture's noise, of 31 bits: what every sampler and every file format takes."""
    return seed_of(*key) % 2**31


def torch_generator(*key: object) -> torch.Generator:
    """A CPU generator for one purpose; draw on CPU and move, so that the device changes nothing."""
    import torch

    return torch.Generator().manual_seed(seed_of(*key))


def numpy_generator(*key: object) -> np.random.Generator:
    """A NumPy generator for one purpose."""
    return np.random.default_rng(seed_of(*key))
