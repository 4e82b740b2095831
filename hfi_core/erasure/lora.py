"""A removal as a LoRA (Hu et al. 2021): the change of each matrix, reduced to one rank.

The reduction keeps the largest singular values, which is the best of its rank in the Frobenius norm (Eckart & Young
1936). Names are those that `load_lora_weights` of diffusers reads: W + lora_B lora_A, at scale 1. Changed biases are
left out: in the embedded project they change pictures by 0.3 of 255, and PEFT could not fuse a LoRA that has biases
(huggingface/peft #2716).
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
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.params import Lora, Sampler
from hfi_core.params.workload import count_lora_draws
from hfi_core.progress import Progress, no_progress

_UNET = "unet"


@dataclass(frozen=True)
class WeightDifference:
    """The difference between a removal's matrices and the base's, by module."""

    base: Mapping[str, torch.Tensor]
    """The base's own values of the changed matrices."""
    matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    """U (out, k), S (k,) and V^T (k, in) of each matrix's change, float64, by module."""

    def factors(self, rank: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Return A (rank, in) and B (out, rank) by module, float32. A matrix of lower rank is padded with zeros."""
        factors = {}
        for module, (u, s, vt) in self.matrices.items():
            root = s[:rank].sqrt()
            missing = max(0, rank - len(s))
            a, b = root[:, None] * vt[:rank], u[:, :rank] * root
            factors[module] = pad(a, (0, 0, 0, missing)).float(), pad(b, (0, missing)).float()
        return factors

    def tensors(self, rank: int) -> dict[str, torch.Tensor]:
        """Return the tensors of the LoRA's file, under the names that diffusers reads."""
        named = {}
        for module, (a, b) in self.factors(rank).items():
            named[f"{_UNET}.{module}.lora_A.weight"], named[f"{_UNET}.{module}.lora_B.weight"] = a, b
        return named

    def weights(self, rank: int) -> dict[str, torch.Tensor]:
        """Return the base's matrices with the LoRA merged in."""
        merged = {}
        for module, (a, b) in self.factors(rank).items():
            name = f"{module}.weight"
            merged[name] = self.base[name] + (b @ a).to(self.base[name])
        return merged

    def remaining(self, rank: int) -> float:
        """Return the Frobenius norm of the part that this rank lacks, relative to that of the whole difference."""
        left = sum(float(s[rank:].square().sum()) for _, s, _ in self.matrices.values())
        whole = sum(float(s.square().sum()) for _, s, _ in self.matrices.values())
        return (left / whole) ** 0.5 if whole else 0.0


def weight_difference(base: Mapping[str, torch.Tensor], changed: Mapping[str, torch.Tensor]) -> WeightDifference:
    """Decompose the difference of two sets of UNet parameters by name; `base` has at least those of `changed`."""
    matrices = {}
    names = [name for name, value in changed.items() if value.ndim == 2]
    for name in names:
        difference = changed[name].detach().cpu().double() - base[name].detach().cpu().double()
        matrices[name.removesuffix(".weight")] = torch.linalg.svd(difference, full_matrices=False)
    return WeightDifference({name: base[name].detach() for name in names}, matrices)


def require_matrices(base: Mapping[str, torch.Tensor], changed: Mapping[str, torch.Tensor]) -> None:
    """Raise UserError, which names the first one, if convolutions or norms changed: a LoRA holds matrices only."""
    for name, value in changed.items():
        own = base[name].detach().cpu()
        if value.ndim != 2 and not name.endswith(".bias") and not torch.equal(value.detach().cpu().to(own.dtype), own):
            raise UserError(
                f"release.lora: the removal changed {name}, of shape {tuple(value.shape)}, and a LoRA holds changes of "
                "matrices only. To fix this: set release.lora to null in params.yaml; then there is no LoRA."
            )


@dataclass(frozen=True)
class FittedLora:
    """The LoRA of the smallest rank whose pictures are near enough to the release's."""

    rank: int
    tensors: Mapping[str, torch.Tensor]
    weights: Weights
    """The base's matrices with the LoRA merged in."""
    accuracy: Mapping[str, Any]
    """The rank, and the remaining difference: of the weights as a share, of pictures on the scale 0..255."""


def fit_lora(
    model: TextToImage,
    changed: Weights,
    requests: Sequence[SampleRequest],
    spec: Lora,
    *,
    sampler: Sampler,
    block: int,
    progress: Progress = no_progress,
) -> FittedLora:
    """Fit a LoRA to a removal: find the smallest rank whose pictures are near enough to the removal's.

    Args:
        model: the base model.
        changed: the removal's weights by name.
        requests: the pictures to compare.
        block: pictures that are computed together.

    Raises UserError if pictures differ too much at the highest rank that `spec` allows, or if the removal changed what
    a LoRA cannot hold.
    """
    base = model.unet_parameters("all")
    require_matrices(base, changed)
    difference = weight_difference(base, changed)
    total, done = count_lora_draws(spec), 0

    def draw(weights: Weights, what: str) -> np.ndarray:
        nonlocal done
        drawn = draw_pictures(model, requests, sampler, block=block, weights=weights)
        pictures = np.stack([pixels for _, pixels in drawn]).astype(int)
        done += 1
        progress(min(done, total), total, what)
        return pictures

    released = draw(changed, "LoRA: the release's pictures")
    unchanged = _mean_differences(draw({}, "LoRA: the base's pictures"), released)
    tried: dict[int, np.ndarray] = {}

    def fits(rank: int) -> bool:
        tried[rank] = _mean_differences(draw(difference.weights(rank), f"LoRA: rank {rank}"), released)
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
        "weights": {"relative_frobenius": difference.remaining(rank), "matrices": len(difference.matrices)},
        "pictures": {
            "mean_absolute_difference": float(tried[rank].mean()),
            "largest_of_a_picture": float(tried[rank].max()),
            "base_and_release": float(unchanged.mean()),
            "n": len(requests),
        },
    }
    return FittedLora(rank, difference.tensors(rank), difference.weights(rank), accuracy)


def _mean_differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of each picture (N,)."""
    return np.abs(one - other).mean(axis=(1, 2, 3))


def smallest_rank(max_rank: int, fits: Callable[[int], bool]) -> int | None:
    """Return the smallest rank that fits, if every rank above it fits too; None if `max_rank` does not fit."""
    position = bisect_left(range(1, max_rank + 1), True, key=fits)
    return None if position == max_rank else position + 1
