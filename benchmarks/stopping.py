"""Distil until a condition holds, instead of for a fixed number of steps."""

import contextlib
from collections.abc import Callable

import torch

from hfi_core.erasure.rollouts import RollOuts
from hfi_core.erasure.targets import TargetNoise
from hfi_core.erasure.trainer import DistillationSettings, distill
from hfi_core.models.diffusion.model import TextToImage


class _Stopped(Exception):
    pass


def distill_until(
    enough: Callable[[int, dict[str, torch.Tensor]], bool],
    model: TextToImage,
    rollouts: RollOuts,
    target: TargetNoise,
    settings: DistillationSettings,
) -> None:
    """Distil from the model's own weights until `enough(steps, teacher)`, which is called after every gradient step."""
    teachers = []

    def observe(step: int, _) -> None:
        if enough(step + 1, teachers[0]):
            raise _Stopped

    with contextlib.suppress(_Stopped):
        distill(
            model, rollouts, target, settings, start=model.cross_attention(), observe=observe,
            before_step=lambda _, teacher: teachers.append(teacher),  # the same tensors in every step
        )  # fmt: skip
