"""The trainer of all distilled removals: one frozen body, and two sets of those of its weights that learn.

The two sets are the student, which learns, and the teacher, its exponential moving average (EMA), which is kept.
Deviations from the reference SDD trainer, for speed at equal meaning: points are learned in batches, and the decay of
the EMA is warmed up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.seeding import torch_generator
from hfi_core.compute.training_loop import Checkpoint, Observer, ParameterGroup, fit
from hfi_core.erasure.rollouts import RollOuts, TrainingPoints
from hfi_core.erasure.targets import DistillationTarget, TargetNoise
from hfi_core.inversion.textual_inversion import FLOAT16_SCALE
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import denoise
from hfi_core.params import Sampler


@dataclass(frozen=True)
class DistillationSettings:
    """The numbers of a distillation; see `params.SDD` and `params.Anchored`."""

    steps: int
    rate: float
    ema: float


StepCallback = Callable[[int, dict[str, torch.Tensor]], None]
"""`before_step(step, teacher)`: called before every gradient step, for example to draw pictures on the way."""


def distill(
    model: TextToImage,
    rollouts: RollOuts,
    target_noise: TargetNoise,
    settings: DistillationSettings,
    *,
    start: dict[str, torch.Tensor],
    work: Path | None = None,
    observe: Observer | None = None,
    before_step: StepCallback | None = None,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Minimise the sum over targets of E || eps_student(x_t, t, c) - target ||^2, x_t from roll-outs under them.

    E is a mean over points and over the elements of a latent.

    For a model that predicts v, the error is taken in v.

    If several processes learn together, each learns from its rows of the joint batch, and their gradients are averaged.
    So weights and losses are equal in all processes, and equal to those of a single process except for rounding.

    Returns the teacher's weights by name, which are the result, and the losses (steps,).

    Raises UserError if there are more processes than rows, or if the loss diverges.
    """
    group = current_group()
    group.require_rows(batch=rollouts.batch)
    targets, joint = rollouts.targets, rollouts.batch * len(rollouts.targets)

    def loss(step: int, student: dict[str, torch.Tensor], teacher: dict[str, torch.Tensor]) -> torch.Tensor:
        if before_step:
            before_step(step, teacher)
        points = rollouts.draw(step, teacher)
        own = group.rows(joint)
        x_t = torch.cat([at.x_t for at in points])[own]
        t = torch.cat([at.t for at in points])[own]
        conditions = torch.cat([at.conditions[at.prompt] for at in points])[own]
        with torch.no_grad():
            target_eps = torch.zeros_like(x_t)
            for part in range(max(len(target.anchors) for target in targets)):
                factor, anchors = _anchor_rows(targets, points, part)
                asked = factor[own] != 0
                if asked.any():
                    noise = target_noise(student, x_t[asked], t[asked], anchors[own][asked])
                    target_eps[asked] += factor[own][asked].view(-1, 1, 1, 1) * noise
            kept = torch.tensor([not target.anchors for target in targets]).repeat_interleave(rollouts.batch)[own]
            if kept.any():
                target_eps[kept] = model.predict(x_t[kept], t[kept], conditions[kept])
        errors = model.schedule.output_error(model.predict(x_t, t, conditions, student) - target_eps, t)
        return errors.square().mean() * len(targets) * group.weight(joint)

    # A checkpoint is written only where roll-outs are drawn anew, so that it never contains them.
    every = rollouts.reuse * max(1, round(20 / rollouts.reuse))
    checkpoint = Checkpoint(work / "distillation.safetensors", every) if work else None
    return learn_average(model, loss, settings, start=start, checkpoint=checkpoint, observe=observe)


def _anchor_rows(
    targets: Sequence[DistillationTarget], points: Sequence[TrainingPoints], part: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return factors (N,) and conditions (N, L, D) of one part of the targets at all points; 0 where there is none."""
    factors, conditions = [], []
    for target, at in zip(targets, points, strict=True):
        factor, anchor = target.anchors[part] if part < len(target.anchors) else (0.0, target.conditions)
        factors.append(torch.as_tensor(factor, device=anchor.device).float().expand(len(anchor))[at.prompt])
        conditions.append(anchor[at.prompt])
    return torch.cat(factors), torch.cat(conditions)


def learn_average(
    model: TextToImage,
    loss: Callable[[int, dict[str, torch.Tensor], dict[str, torch.Tensor]], torch.Tensor],
    settings: DistillationSettings,
    *,
    start: dict[str, torch.Tensor],
    checkpoint: Checkpoint | None,
    observe: Observer | None,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Minimise `loss(step, student, average)` over weights of the UNet.

    Returns the average (EMA) of the student's weights by name, which is the result, and the losses (steps,).

    Raises UserError if the loss diverges.
    """
    student = {name: torch.nn.Parameter(value.detach().float().clone()) for name, value in start.items()}
    average = {name: value.detach().clone() for name, value in student.items()}
    history = fit(
        [ParameterGroup(student, settings.rate)],
        lambda step: loss(step, student, average),
        name="The removal",
        steps=settings.steps,
        average=average,
        decay=settings.ema,
        checkpoint=checkpoint,
        observe=observe,
        scale=FLOAT16_SCALE if model.dtype == torch.float16 else 1.0,
        mean=current_group().mean,
    )
    return average, history


@torch.no_grad()
def sample_grid(model, conditions: torch.Tensor, sampler: Sampler, weights, *key: object) -> np.ndarray:
    """Draw pictures under conditions (B, L, D), at equal seeds in every call, side by side: uint8 (H, B * W, 3)."""
    x_T = torch.randn((len(conditions), *model.latent_shape), generator=torch_generator("look", *key)).to(model.device)
    unconditional = model.encode([""]).expand_as(conditions)
    *_, (x_0, _) = denoise(model, x_T, conditions, unconditional, sampler=sampler, weights=weights)
    return np.concatenate(list(model.decode(x_0)), axis=1)
