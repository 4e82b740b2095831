"""What a removal learns: the concepts, and which conditions are pulled to which targets."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.params import Concept


@dataclass(frozen=True)
class ErasureConcept:
    """A concept to remove."""

    name: str
    spec: Concept
    tokens: dict[str, torch.Tensor]
    """v* and u* (n, D) by the token's name, on the model's device."""
    load_examples: Callable[[], TrainingExamples]
    """Loads the objectionable pictures, from which some removals invert a token again between rounds."""


@dataclass(frozen=True)
class DistillationTarget:
    """Conditions under which the student learns, and the anchors that give the target for each of them."""

    name: str
    conditions: torch.Tensor
    """(P, L, D): the student's conditions."""
    anchors: tuple[tuple[float, torch.Tensor], ...]
    """Factors and conditions (P, L, D). The target is the sum of factor times the noise estimate under each condition.
    All targets of a removal have the same factors."""


TargetNoise = Callable[[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""`target_noise(student, x_t, t, anchors)`: the noise (B, C, H, W) that the student is pulled to, without gradient."""
