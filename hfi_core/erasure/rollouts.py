"""Points from the teacher's own guided roll-outs under each lesson's conditions (Kim et al. 2023, algorithm 1).

Deviation from the reference trainer, for speed at equal meaning: every latent of a roll-out may be a training point (it
throws away all but one), and a roll-out serves some gradient steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.targets import DistillationTarget
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import denoise


@dataclass(frozen=True)
class Sampling:
    """How roll-outs are drawn, and which of their latents are learnt from; see `params.SDD` and `params.Anchored`."""

    batch: int
    guidance: float
    scheduler: str
    rollout_steps: int
    rollouts: int
    reuse: int
    concentration: int


@dataclass(frozen=True)
class Points:
    """At which latents one lesson is learnt."""

    x_t: torch.Tensor
    """(B, C, H, W), noised as t says."""
    t: torch.Tensor
    """(B,)."""
    prompt: torch.Tensor
    """(B,): rows of the lesson's conditions."""


class RollOuts:
    """Draws roll-outs of every lesson each `reuse` steps. Processes draw their shares of them and exchange those.

    All randomness follows from the key and the step, and a step that `reuse` divides needs nothing from those before it
    but the teacher: a checkpoint may stand there.

    Raises UserError if there are more processes than roll-outs.
    """

    def __init__(
        self, model: TextToImage, lessons: Sequence[DistillationTarget], sampling: Sampling, key: tuple[object, ...]
    ):
        self._together = current_group()
        self._together.require_rows(rollouts=sampling.rollouts)
        self.lessons, self.batch, self.reuse = lessons, sampling.batch, sampling.reuse
        self._model, self._sampling, self._key = model, sampling, key
        self._unconditional = model.encode([""]).detach()
        self._pools: list[Points] = []

    def draw(self, step: int, teacher: dict[str, torch.Tensor]) -> list[Points]:
        """The points of one gradient step, `batch` for each lesson in order; equal in all processes."""
        turn = step % self.reuse
        if turn == 0 or not self._pools:
            self._pools = [self._roll_out(lesson, step, teacher) for lesson in self.lessons]
        part = slice(self.batch * turn, self.batch * (turn + 1))
        return [Points(pool.x_t[part], pool.t[part], pool.prompt[part]) for pool in self._pools]

    def _roll_out(self, lesson: DistillationTarget, step: int, teacher: dict[str, torch.Tensor]) -> Points:
        """All latents of some guided roll-outs, thinned to what the next `reuse` steps learn from."""
        model, spec, together = self._model, self._sampling, self._together
        generator = torch_generator("roll-out", *self._key, lesson.name, step)
        prompt = torch.randint(0, len(lesson.conditions), (spec.rollouts,), generator=generator).to(model.device)
        x_T = torch.randn((spec.rollouts, *model.latent_shape), generator=generator).to(model.device)
        mine = together.rows(spec.rollouts)
        conditions = lesson.conditions[prompt][mine]
        *visited, _ = denoise(
            model, x_T[mine], conditions, self._unconditional.expand_as(conditions), scheduler=spec.scheduler,
            steps=spec.rollout_steps, guidance=spec.guidance, weights=teacher,
        )  # fmt: skip
        latents = together.gathered(torch.stack([x_t for x_t, _ in visited], dim=1), spec.rollouts)
        timesteps = torch.stack([t for _, t in visited])
        count = self.batch * self.reuse
        place = beta(count, spec.concentration, generator)
        steps = (place * len(visited)).long().clamp(max=len(visited) - 1).to(model.device)
        # Every roll-out serves equally often, in random order.
        which = torch.randperm(count, generator=generator).to(model.device) % spec.rollouts
        return Points(latents[which, steps], timesteps[steps], prompt[which])


def beta(count: int, concentration: int, generator: torch.Generator) -> torch.Tensor:
    """Draws (count,) from Beta(a, a), a the concentration: the median of 2a - 1 uniform draws has this law."""
    return torch.rand(count, 2 * concentration - 1, generator=generator).median(dim=1).values
