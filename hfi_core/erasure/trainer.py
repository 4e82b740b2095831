"""The one trainer: a frozen body, and student and EMA teacher as two small sets of cross-attention weights.

Deviations from the reference SDD trainer, for speed at equal meaning: points are learnt in batches, and the EMA's decay
is warmed up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.seeding import torch_generator
from hfi_core.compute.training_loop import Checkpoint, Observer, ParameterGroup, fit
from hfi_core.erasure.rollouts import RollOuts
from hfi_core.erasure.targets import Target
from hfi_core.inversion.textual_inversion import FLOAT16_SCALE
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import denoise
from hfi_core.params import Sampler


@dataclass(frozen=True)
class DistillationSettings:
    """The numbers of a run; see `params.SDD` and `params.Anchored`."""

    steps: int
    rate: float
    ema: float


Look = Callable[[int, dict[str, torch.Tensor]], None]
"""`look(step, teacher)`: called before every gradient step, for pictures on the way."""


def distill(
    model: TextToImage,
    rollouts: RollOuts,
    target: Target,
    settings: DistillationSettings,
    *,
    start: dict[str, torch.Tensor],
    work: Path | None = None,
    observe: Observer | None = None,
    look: Look | None = None,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Minimise the mean over lessons of E || eps_student(x_t, t, c) - target ||^2, x_t from roll-outs under them.

    Returns the teacher's weights by name, which are what is kept, and the losses (steps,). Where processes learn
    together, each learns from its rows of the joint batch; their gradients are averaged, so weights and losses are the
    same in all, and those of one process but for rounding.

    Raises UserError if there are more processes than rows, or if it diverges.
    """
    together = current_group()
    together.require_rows(batch=rollouts.batch)
    lessons, joint = rollouts.lessons, rollouts.batch * len(rollouts.lessons)
    student = {name: torch.nn.Parameter(value.detach().float().clone()) for name, value in start.items()}
    teacher = {name: value.detach().clone() for name, value in student.items()}

    def loss(step: int) -> torch.Tensor:
        if look:
            look(step, teacher)
        points = rollouts.draw(step, teacher)
        mine = together.rows(joint)
        x_t = torch.cat([at.x_t for at in points])[mine]
        t = torch.cat([at.t for at in points])[mine]
        rows = [at.prompt for at in points]
        conditions = torch.cat([lesson.conditions[row] for lesson, row in zip(lessons, rows, strict=True)])[mine]
        with torch.no_grad():
            wanted = torch.zeros_like(x_t)
            for parts in zip(*(lesson.anchors for lesson in lessons), strict=True):
                factor = parts[0][0]
                anchors = torch.cat([anchor[row] for (_, anchor), row in zip(parts, rows, strict=True)])[mine]
                wanted += factor * target(student, x_t, t, anchors)
        errors = (model.predict(x_t, t, conditions, student) - wanted).square()
        return errors.mean() * len(lessons) * together.weight(joint)

    # A checkpoint stands where roll-outs are drawn anew, so that they are never part of it.
    every = rollouts.reuse * max(1, round(20 / rollouts.reuse))
    history = fit(
        [ParameterGroup(student, settings.rate)],
        loss,
        what="The removal",
        steps=settings.steps,
        average=teacher,
        decay=settings.ema,
        checkpoint=Checkpoint(work / "distillation.safetensors", every) if work else None,
        observe=observe,
        scale=FLOAT16_SCALE if model.dtype == torch.float16 else 1.0,
        mean=together.mean,
    )
    return teacher, history


@torch.no_grad()
def sample_grid(model, conditions: torch.Tensor, sampler: Sampler, weights, *key: object) -> np.ndarray:
    """Pictures under conditions (B, L, D), at equal seeds in every call, side by side: uint8 (H, B * W, 3)."""
    x_T = torch.randn((len(conditions), *model.latent_shape), generator=torch_generator("look", *key)).to(model.device)
    unconditional = model.encode([""]).expand_as(conditions)
    *_, (x_0, _) = denoise(
        model, x_T, conditions, unconditional, scheduler=sampler.scheduler, steps=sampler.steps,
        guidance=sampler.guidance, weights=weights,
    )  # fmt: skip
    return np.concatenate(list(model.decode(x_0)), axis=1)
