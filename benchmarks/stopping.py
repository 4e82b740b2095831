"""A removal that learns until enough is reached."""

import contextlib
from collections.abc import Callable

import torch

from hfi_core.erasure.rollouts import RollOuts
from hfi_core.erasure.targets import Target
from hfi_core.erasure.trainer import Settings, distill
from hfi_core.models.diffusion.model import TextToImage


class _Reached(Exception):
    pass


def distill_until(
    reached: Callable[[int, dict[str, torch.Tensor]], bool],
    model: TextToImage,
    rollouts: RollOuts,
    target: Target,
    settings: Settings,
) -> None:
    """Distil from the model as it is, until `reached(steps, teacher)`, asked after every gradient step."""
    teachers = []

    def observe(step: int, _) -> None:
        if reached(step + 1, teachers[0]):
            raise _Reached

    with contextlib.suppress(_Reached):
        distill(
            model, rollouts, target, settings, start=model.cross_attention(), observe=observe,
            look=lambda _, teacher: teachers.append(teacher),  # the same tensors every time, which learn in place
        )  # fmt: skip
