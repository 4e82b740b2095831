"""What each unit will compute, counted from the params alone: nothing is loaded, drawn or learnt.

A pass is one latent through the UNet once. Guidance takes two passes a step, and the last block is padded.
"""

from dataclasses import dataclass
from math import ceil, log2

from hfi_core.params import Anchored, ClosedForm, Lora, NoRemoval, Params

LOOK_AT = 8
"""Pictures in a sample that a removal draws on its way."""
LOOKS = 4
"""Samples a removal; roughly, for they are drawn only where roll-outs are."""


@dataclass(frozen=True)
class Workload:
    """What one unit, or several together, computes with the UNet."""

    pictures: int = 0
    """Pictures that are drawn and kept or scored; padding left out."""
    steps: int = 0
    """Gradient steps, of removal, inversion and attack."""
    forward: int = 0
    """Passes without gradient, padding and targets included."""
    gradient: int = 0
    """Passes forward and backward."""

    def __add__(self, other: "Workload") -> "Workload":
        return Workload(
            self.pictures + other.pictures,
            self.steps + other.steps,
            self.forward + other.forward,
            self.gradient + other.gradient,
        )


def unet_passes(stage: str, unit: str, params: Params) -> Workload:
    """What a unit computes; nothing for stages that do without the UNet."""
    if stage == "generate":
        return _drawing(len(params.concepts[unit].prompts) * params.candidates.drawn[unit], params)
    if stage == "invert":
        spec = params.invert
        work = _learning(2 * spec.steps, spec.batch)  # v* and u*
        for _ in ("text", "objectionable", "accepted"):
            work += _drawing(spec.check, params)
        return work
    if stage == "distill":
        return _removal(unit, params)
    if stage == "attack":
        return _learning(_attackers(params) * params.attack.steps, params.attack.batch)
    if stage == "evaluate":
        return _drawing(shots(params), params)
    if stage == "package":
        return _lora(params)
    return Workload()


def shots(params: Params) -> int:
    """Pictures that the evaluation of one row draws."""
    return _suites(params) + _attackers(params) * params.evaluate.reinverted


def _attackers(params: Params) -> int:
    return len(params.concepts) * params.attack.attackers


def _suites(params: Params) -> int:
    return sum(len(suite.prompts) * suite.pictures for suite in params.evaluate.suites.values())


def lora_draws(spec: Lora) -> int:
    """How often a LoRA's pictures are drawn, at most: of release, of base, and of each rank in a search by halves."""
    return 2 + ceil(log2(spec.most_rank + 1))


def _passes(guidance: float) -> int:
    return 1 if guidance == 1 else 2


def _drawing(pictures: int, params: Params) -> Workload:
    padded = ceil(pictures / params.compute.block) * params.compute.block
    return Workload(pictures, forward=padded * params.sampler.steps * _passes(params.sampler.guidance))


def _learning(steps: int, batch: int) -> Workload:
    return Workload(steps=steps, gradient=steps * batch)


def _lora(params: Params) -> Workload:
    spec = params.release.lora
    if spec is None or isinstance(params.removals[params.release.row], NoRemoval):
        return Workload()
    once, draws = _drawing(min(spec.pictures, _suites(params)), params), lora_draws(spec)
    return Workload(once.pictures * draws, forward=once.forward * draws)


def _removal(row: str, params: Params) -> Workload:
    spec = params.removals[row]
    if isinstance(spec, NoRemoval):
        return Workload()
    if isinstance(spec, ClosedForm):
        return _looks(2, params)
    concepts, rounds, targets, work = len(params.concepts), 1, 1, Workload()
    if isinstance(spec, Anchored):
        rounds, targets = spec.rounds, 2 if spec.contrast else 1
        work += _learning((rounds - 1) * concepts * spec.reinvert_steps, params.invert.batch)
    for number in range(1, rounds + 1):
        # anchored: the text, v*, and what each earlier re-inversion found, a concept; and what is preserved
        lessons = concepts * (1 + number) + spec.preserve if isinstance(spec, Anchored) else concepts
        rolls = ceil(spec.steps / spec.reuse) * lessons * spec.rollouts * spec.rollout_steps * _passes(spec.guidance)
        learnt = spec.steps * spec.batch * lessons
        work += Workload(steps=spec.steps, forward=rolls + targets * learnt, gradient=learnt)
    return work + _looks(min(LOOKS, rounds * ceil(spec.steps / spec.reuse)), params)


def _looks(count: int, params: Params) -> Workload:
    drawn = count * LOOK_AT
    return Workload(drawn, forward=drawn * params.sampler.steps * _passes(params.sampler.guidance))
