"""What removal works from: the concepts with their tokens and the examples of what people object to."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hfi_core.inversion.textual_inversion import Examples
from hfi_core.params import Concept


@dataclass(frozen=True)
class ConceptMaterial:
    """One concept that is removed."""

    name: str
    concept: Concept
    tokens: dict[str, torch.Tensor]
    """v* and u* (n, D) by token name."""
    objectionable: Callable[[], Examples]
    """Reads the examples for the re-inversions between rounds, which not every removal makes."""
