"""Draw training points from the teacher's own guided roll-outs (Kim et al. 2023, algorithm 1).

Deviations from the reference trainer, for speed at equal meaning: every latent of a roll-out may be a training point
(the reference uses one), and a roll-out serves several gradient steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.targets import DistillationTarget
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import denoise
from hfi_core.params import Sampler


@dataclass(frozen=True)
class RolloutSettings:
    """How roll-outs are drawn, and which latents are training points; see `params.SDD` and `params.Anchored`."""

    batch: int
    sampler: Sampler
    rollouts: int
    reuse: int
    concentration: int


@dataclass(frozen=True)
class TrainingPoints:
    """The latents at which one target is learned."""

    x_t: torch.Tensor
    """(B, C, H, W), with the noise of timestep t."""
    t: torch.Tensor
    """(B,)."""
    prompt: torch.Tensor
    """(B,): rows of the target's conditions and anchors."""
    conditions: torch.Tensor
    """(P, L, D): the student's conditions."""


class RollOuts:
    """Roll-outs for every target, drawn anew every `reuse` steps. Each process draws a share; then all are exchanged.

    All randomness follows from the key and the step. A step that `reuse` divides needs nothing from earlier steps
    except the teacher, so a checkpoint may be written there.

    Raises UserError if there are more processes than roll-outs.
    """

    def __init__(
        self,
        model: TextToImage,
        targets: Sequence[DistillationTarget],
        sampling: RolloutSettings,
        key: tuple[object, ...],
    ):
        self._group = current_group()
        self._group.require_rows(rollouts=sampling.rollouts)
        self.targets, self.batch, self.reuse = targets, sampling.batch, sampling.reuse
        self._model, self._sampling, self._key = model, sampling, key
        self._unconditional = model.encode([""]).detach()
        self._pools: list[TrainingPoints] = []

    def draw(self, step: int, teacher: dict[str, torch.Tensor]) -> list[TrainingPoints]:
        """Return the points of one gradient step, `batch` for each target in order. They are equal in all processes."""
        turn = step % self.reuse
        if turn == 0 or not self._pools:
            self._pools = [self._roll_out(target, step, teacher) for target in self.targets]
        part = slice(self.batch * turn, self.batch * (turn + 1))
        return [replace(pool, x_t=pool.x_t[part], t=pool.t[part], prompt=pool.prompt[part]) for pool in self._pools]

    def _roll_out(self, target: DistillationTarget, step: int, teacher: dict[str, torch.Tensor]) -> TrainingPoints:
        """Draw guided roll-outs, and choose from their latents the points of the next `reuse` steps."""
        model, spec, group = self._model, self._sampling, self._group
        generator = torch_generator("roll-out", *self._key, target.name, step)
        prompt = torch.randint(0, len(target.conditions), (spec.rollouts,), generator=generator).to(model.device)
        x_T = torch.randn((spec.rollouts, *model.latent_shape), generator=generator).to(model.device)
        own = group.rows(spec.rollouts)
        every = target.conditions
        if target.redraw:
            every = target.redraw(torch_generator("condition", *self._key, target.name, step))
        conditions = every[prompt][own]
        *visited, _ = denoise(
            model, x_T[own], conditions, self._unconditional.expand_as(conditions), sampler=spec.sampler,
            weights=teacher,
        )  # fmt: skip
        latents = group.gather(torch.stack([x_t for x_t, _ in visited], dim=1), spec.rollouts)
        timesteps = torch.stack([t for _, t in visited])
        count = self.batch * self.reuse
        fraction = draw_beta(count, spec.concentration, generator)
        steps = (fraction * len(visited)).long().clamp(max=len(visited) - 1).to(model.device)
        # Every roll-out gives equally many points, in random order.
        rollout = torch.randperm(count, generator=generator).to(model.device) % spec.rollouts
        return TrainingPoints(latents[rollout, steps], timesteps[steps], prompt[rollout], every)


def draw_beta(count: int, concentration: int, generator: torch.Generator) -> torch.Tensor:
    """Draw (count,) values from Beta(a, a), a the concentration: the median of 2a - 1 uniform draws has this law."""
    return torch.rand(count, 2 * concentration - 1, generator=generator).median(dim=1).values
