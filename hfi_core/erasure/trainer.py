"""The one trainer: a frozen body, and student and EMA teacher as two small sets of cross-attention weights.

Deviations from the reference SDD trainer, for speed at equal meaning: every latent of a guided roll-out is a training
point (it throws away all but one), points are learnt in batches, and the EMA's decay is warmed up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hfi_core.diffusion.model import TextToImage
from hfi_core.diffusion.sampling import denoise
from hfi_core.fitting import Checkpoint, Group, Observer, fit
from hfi_core.inversion import FLOAT16_SCALE
from hfi_core.params import Sampler
from hfi_core.replicas import Replicas, replicas
from hfi_core.seeding import torch_generator


@dataclass(frozen=True)
class Lesson:
    """Conditions under which the student learns, and those of each one's target; all lessons mix by equal factors."""

    name: str
    conditions: torch.Tensor
    """(P, L, D): what roll-outs are drawn under and what the student is asked with."""
    anchors: tuple[tuple[float, torch.Tensor], ...]
    """Factors and conditions (P, L, D): the target is the sum of factor times the noise under each."""


@dataclass(frozen=True)
class Settings:
    """The numbers of a run; see `params.SDD` and `params.Anchored`."""

    steps: int
    batch: int
    rate: float
    ema: float
    guidance: float
    scheduler: str
    rollout_steps: int
    rollouts: int
    reuse: int
    concentration: int


Target = Callable[[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""`target(student, x_t, t, anchors)`: noise (B, C, H, W) that the student is pulled to; no gradient."""


Look = Callable[[int, dict[str, torch.Tensor]], None]
"""`look(step, teacher)`: called whenever roll-outs are drawn, for pictures on the way."""


@dataclass(frozen=True)
class _Pool:
    """Training points of one lesson: all latents of some roll-outs, thinned to what the next steps learn from."""

    x_t: torch.Tensor
    t: torch.Tensor
    prompt: torch.Tensor


def distill(
    model: TextToImage,
    lessons: list[Lesson],
    target: Target,
    settings: Settings,
    *,
    start: dict[str, torch.Tensor],
    key: tuple[object, ...],
    work: Path | None = None,
    observe: Observer | None = None,
    look: Look | None = None,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Minimise the mean over lessons of E || eps_student(x_t, t, c) - target ||^2, x_t from the teacher's roll-outs.

    Returns the teacher's weights by name, which are what is kept, and the losses (steps,). Where processes learn
    together, each draws its share of the roll-outs and learns from its rows of the joint batch; their gradients are
    averaged, so weights and losses are the same in all, and those of one process but for rounding.

    Raises UserError if there are more processes than roll-outs or rows, or if it diverges.
    """
    together = replicas()
    together.require_rows(rollouts=settings.rollouts, batch=settings.batch)
    student = {name: torch.nn.Parameter(value.detach().float().clone()) for name, value in start.items()}
    teacher = {name: value.detach().clone() for name, value in student.items()}
    pools: dict[str, _Pool] = {}
    unconditional = model.encode([""]).detach()

    def loss(step: int) -> torch.Tensor:
        if step % settings.reuse == 0 or not pools:
            if look:
                look(step, teacher)
            for lesson in lessons:
                pools[lesson.name] = _roll_out(
                    model, lesson, unconditional, teacher, settings, (*key, lesson.name, step), together
                )
        part = slice(settings.batch * (step % settings.reuse), settings.batch * (step % settings.reuse + 1))
        joint = settings.batch * len(lessons)
        mine = together.rows(joint)
        x_t = torch.cat([pools[lesson.name].x_t[part] for lesson in lessons])[mine]
        t = torch.cat([pools[lesson.name].t[part] for lesson in lessons])[mine]
        rows = [pools[lesson.name].prompt[part] for lesson in lessons]
        conditions = torch.cat([lesson.conditions[row] for lesson, row in zip(lessons, rows, strict=True)])[mine]
        with torch.no_grad():
            wanted = torch.zeros_like(x_t)
            for parts in zip(*(lesson.anchors for lesson in lessons), strict=True):
                factor = parts[0][0]
                anchors = torch.cat([anchor[row] for (_, anchor), row in zip(parts, rows, strict=True)])[mine]
                wanted += factor * target(student, x_t, t, anchors)
        errors = (model.predict(x_t, t, conditions, student) - wanted).square()
        return errors.mean() * len(lessons) * together.weight(joint)

    # A checkpoint stands where pools are refilled, so that they are never part of it.
    every = settings.reuse * max(1, round(20 / settings.reuse))
    history = fit(
        [Group(student, settings.rate)],
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


def _roll_out(
    model, lesson: Lesson, unconditional, teacher, settings: Settings, key: tuple[object, ...], together: Replicas
) -> _Pool:
    """Guided roll-outs under a lesson's conditions, and from them the points of the next `reuse` gradient steps."""
    generator = torch_generator("roll-out", *key)
    prompt = torch.randint(0, len(lesson.conditions), (settings.rollouts,), generator=generator).to(model.device)
    x_T = torch.randn((settings.rollouts, *model.latent_shape), generator=generator).to(model.device)
    mine = together.rows(settings.rollouts)
    conditions = lesson.conditions[prompt][mine]
    *visited, _ = denoise(
        model, x_T[mine], conditions, unconditional.expand_as(conditions), scheduler=settings.scheduler,
        steps=settings.rollout_steps, guidance=settings.guidance, weights=teacher,
    )  # fmt: skip
    latents = together.gathered(torch.stack([x_t for x_t, _ in visited], dim=1), settings.rollouts)
    timesteps = torch.stack([t for _, t in visited])
    count = settings.batch * settings.reuse
    place = _beta(count, settings.concentration, generator)
    steps = (place * len(visited)).long().clamp(max=len(visited) - 1).to(model.device)
    # Every roll-out serves equally often, in random order.
    which = torch.randperm(count, generator=generator).to(model.device) % settings.rollouts
    return _Pool(latents[which, steps], timesteps[steps], prompt[which])


def _beta(count: int, concentration: int, generator: torch.Generator) -> torch.Tensor:
    """Draws (count,) from Beta(a, a), a the concentration: the median of 2a - 1 uniform draws has this law."""
    return torch.rand(count, 2 * concentration - 1, generator=generator).median(dim=1).values


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
