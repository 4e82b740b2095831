"""What a removal learns: a lesson says which conditions are pulled where, and points say at which latents."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Lesson:
    """Conditions under which the student learns, and those of each one's target; all lessons mix by equal factors."""

    name: str
    conditions: torch.Tensor
    """(P, L, D): what the student is asked with."""
    anchors: tuple[tuple[float, torch.Tensor], ...]
    """Factors and conditions (P, L, D): the target is the sum of factor times the noise under each."""


@dataclass(frozen=True)
class Points:
    """At which latents one lesson is learnt."""

    x_t: torch.Tensor
    """(B, C, H, W), noised as t says."""
    t: torch.Tensor
    """(B,)."""
    prompt: torch.Tensor
    """(B,): rows of the lesson's conditions."""


class PointSource(Protocol):
    """Where points come from. All randomness follows from the step, so that a resumed run repeats it."""

    reuse: int
    """A step that this divides needs nothing from the steps before it but the teacher: a checkpoint may stand there."""

    def draw(self, step: int, teacher: dict[str, torch.Tensor]) -> list[Points]:
        """The points of one gradient step, `batch` for each lesson in order; equal in all processes."""


Target = Callable[[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""`target(student, x_t, t, anchors)`: noise (B, C, H, W) that the student is pulled to; no gradient."""
