"""What a removal learns: which conditions are pulled where."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.params import Concept


@dataclass(frozen=True)
class ErasureConcept:
    """One concept that is removed."""

    name: str
    concept: Concept
    tokens: dict[str, torch.Tensor]
    """v* and u* (n, D) by token name."""
    objectionable: Callable[[], TrainingExamples]
    """Reads the examples for the re-inversions between rounds, which not every removal makes."""


@dataclass(frozen=True)
class DistillationTarget:
    """Conditions under which the student learns, and those of each one's target; all lessons mix by equal factors."""

    name: str
    conditions: torch.Tensor
    """(P, L, D): what the student is asked with."""
    anchors: tuple[tuple[float, torch.Tensor], ...]
    """Factors and conditions (P, L, D): the target is the sum of factor times the noise under each."""


Target = Callable[[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""`target(student, x_t, t, anchors)`: noise (B, C, H, W) that the student is pulled to; no gradient."""
