"""A removal as a LoRA (Hu et al. 2021): the change of each cross-attention matrix, cut to one rank.

The cut is by singular values, the best of its rank in the Frobenius norm (Eckart & Young 1936). Names are those that
`load_lora_weights` of diffusers reads: W + lora_B lora_A, at scale 1. Changed biases are left out: in the embedded
project they move pictures by .3 of 255, and PEFT could not fuse a LoRA that has some (huggingface/peft #2716).
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad

from hfi_core.errors import UserError
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.models.diffusion.sampling import SampleRequest, sample
from hfi_core.params import Params
from hfi_core.params.workload import lora_draws
from hfi_core.progress import Progress, no_progress

_UNET = "unet"


@dataclass(frozen=True)
class WeightDifference:
    """What a removal changed of the base, module by module."""

    base: Mapping[str, torch.Tensor]
    """The changed matrices as the base has them."""
    matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    """U (out, k), S (k,) and V^T (k, in) of each matrix's change, float64, by module."""

    def factors(self, rank: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """A (rank, in) and B (out, rank) by module, float32; a matrix of a lower rank is filled up with zeros."""
        found = {}
        for module, (u, s, vt) in self.matrices.items():
            root = s[:rank].sqrt()
            missing = max(0, rank - len(s))
            a, b = root[:, None] * vt[:rank], u[:, :rank] * root
            found[module] = pad(a, (0, 0, 0, missing)).float(), pad(b, (0, missing)).float()
        return found

    def tensors(self, rank: int) -> dict[str, torch.Tensor]:
        """The LoRA's file by diffusers' names."""
        named = {}
        for module, (a, b) in self.factors(rank).items():
            named[f"{_UNET}.{module}.lora_A.weight"], named[f"{_UNET}.{module}.lora_B.weight"] = a, b
        return named

    def weights(self, rank: int) -> dict[str, torch.Tensor]:
        """The matrices as base and LoRA together have them."""
        merged = {}
        for module, (a, b) in self.factors(rank).items():
            name = f"{module}.weight"
            merged[name] = self.base[name] + (b @ a).to(self.base[name])
        return merged

    def remaining(self, rank: int) -> float:
        """Frobenius norm of what the matrices lack, relative to that of their whole change."""
        left = sum(float(s[rank:].square().sum()) for _, s, _ in self.matrices.values())
        whole = sum(float(s.square().sum()) for _, s, _ in self.matrices.values())
        return (left / whole) ** 0.5 if whole else 0.0


def weight_difference(base: Mapping[str, torch.Tensor], changed: Mapping[str, torch.Tensor]) -> WeightDifference:
    """Take a removal's weights apart; both hold parameters of the UNet by name, at least those that changed."""
    matrices = {}
    names = [name for name, value in changed.items() if value.ndim == 2]
    for name in names:
        difference = changed[name].detach().cpu().double() - base[name].detach().cpu().double()
        matrices[name.removesuffix(".weight")] = torch.linalg.svd(difference, full_matrices=False)
    return WeightDifference({name: base[name].detach() for name in names}, matrices)


@dataclass(frozen=True)
class Fitted:
    """The LoRA of the smallest rank that is near enough."""

    rank: int
    tensors: Mapping[str, torch.Tensor]
    accuracy: Mapping[str, Any]
    """Rank, and what remains: of the weights as a share, of pictures in 0..255."""


def fit_lora(
    model: TextToImage,
    changed: Weights,
    requests: Sequence[SampleRequest],
    params: Params,
    progress: Progress = no_progress,
) -> Fitted:
    """The LoRA of a removal; `model` is the base, `changed` the removal's weights, `requests` the pictures compared.

    Raises UserError if pictures differ too much at the highest rank allowed.
    """
    spec = params.release.lora
    change = weight_difference(model.cross_attention(), changed)
    total, done = lora_draws(spec), 0

    def draw(weights: Weights, what: str) -> np.ndarray:
        nonlocal done
        found = sample(model, requests, params.sampler, block=params.compute.block, weights=weights)
        pictures = np.stack([pixels for _, pixels in found]).astype(int)
        done += 1
        progress(min(done, total), total, what)
        return pictures

    released = draw(changed, "LoRA: the release's pictures")
    base = _differences(draw({}, "LoRA: the base's pictures"), released)
    tried: dict[int, np.ndarray] = {}

    def fits(rank: int) -> bool:
        tried[rank] = _differences(draw(change.weights(rank), f"LoRA: rank {rank}"), released)
        return bool(tried[rank].mean() <= spec.most_difference)

    rank = smallest_rank(spec.most_rank, fits)
    if rank is None:
        raise UserError(
            f"release.lora: at rank {spec.most_rank} pictures differ by {tried[spec.most_rank].mean():.2f} of 255 from "
            f"the release's, and most_difference is {spec.most_difference:g}. Raise most_rank or most_difference in "
            "params.yaml, or set release.lora to null: then there is no LoRA."
        )
    accuracy = {
        "rank": rank,
        "most_difference": spec.most_difference,
        "weights": {"relative_frobenius": change.remaining(rank), "matrices": len(change.matrices)},
        "pictures": {
            "mean_absolute_difference": float(tried[rank].mean()),
            "largest_of_a_picture": float(tried[rank].max()),
            "base_and_release": float(base.mean()),
            "n": len(requests),
        },
    }
    return Fitted(rank, change.tensors(rank), accuracy)


def _differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each picture (N,)."""
    return np.abs(one - other).mean(axis=(1, 2, 3))


def smallest_rank(most: int, fits: Callable[[int], bool]) -> int | None:
    """The smallest rank from 1 to `most` that fits, if each one above it fits too; None if `most` does not."""
    place = bisect_left(range(1, most + 1), True, key=fits)
    return None if place == most else place + 1
