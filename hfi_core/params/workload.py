"""Count what each unit will compute, from the params alone: nothing is loaded, drawn or trained.

A pass is one latent through the UNet once. Guidance takes two passes per step, and the last batch is padded.
"""

from dataclasses import dataclass
from math import ceil, log2

from hfi_core.params import (
    DPO,
    ESD,
    RECE,
    SLD,
    UCE,
    Anchored,
    AttackSettings,
    ClosedForm,
    Distillation,
    Evaluate,
    FineTuned,
    Imported,
    LatentInversion,
    Lora,
    Negative,
    NoRemoval,
    Params,
    RegisteredRemoval,
    Sampler,
    TrainedAttack,
    UnlearnDiff,
)

PICTURES_PER_SAMPLE = 8
"""Pictures in a sample that a removal draws while it runs."""
SAMPLES_PER_REMOVAL = 4
"""Samples that a removal draws; approximate, because they are drawn only at steps that draw roll-outs."""

NEAREST_WORDS = 64
"""Words near v* that a removal judges if its `vocabulary` names none."""


@dataclass(frozen=True)
class Workload:
    """What one unit, or several together, computes with the UNet."""

    pictures: int = 0
    """Pictures that are drawn and then stored or scored, without padding."""
    steps: int = 0
    """Gradient steps of removal, inversion and attack."""
    forward: int = 0
    """Passes without gradient, with padding and targets."""
    gradient: int = 0
    """Passes forward and backward."""

    def __add__(self, other: "Workload") -> "Workload":
        return Workload(
            self.pictures + other.pictures,
            self.steps + other.steps,
            self.forward + other.forward,
            self.gradient + other.gradient,
        )

    def __mul__(self, times: int) -> "Workload":
        return Workload(self.pictures * times, self.steps * times, self.forward * times, self.gradient * times)


def count_unet_passes(stage: str, unit: str, params: Params) -> Workload:
    """Return what a unit computes with the UNet; an empty workload for stages that do not use it."""
    block, sampler = params.compute.block, params.sampler
    if stage == "generate":
        pictures = len(params.concept(unit).prompts) * params.candidates.drawn[unit]
        return _drawing(pictures, block, sampler)
    if stage == "invert":
        work = _training(2 * params.invert.steps, params.invert.batch)  # v* and u*
        for _ in ("text", "objectionable", "accepted"):
            work += _drawing(params.invert.check, block, sampler)
        return work
    if stage == "distill":
        return _removal(unit, params)
    if stage == "attack":
        attacks = (_attack(spec, block, sampler) * spec.attackers for spec in params.attacks.values())
        return sum(attacks, Workload()) * len(params.concepts)
    if stage == "evaluate":
        passes = _SLD_PASSES if isinstance(params.removals[unit], SLD) else 2
        return _drawing(count_evaluation_pictures(params), block, sampler, passes)
    if stage == "package":
        return _lora(params)
    return Workload()


def count_evaluation_pictures(params: Params) -> int:
    """Return how many pictures the evaluation of one model draws."""
    drawn = sum(attack.attackers * attack.pictures_of_attacker for attack in params.attacks.values())
    return _suite_pictures(params.evaluate) + len(params.concepts) * drawn


def _attack(spec: AttackSettings, block: int, sampler: Sampler) -> Workload:
    """Return the work of one attacker on one concept. That of another package's attack is unknown.

    Attacks on the text encoder alone, and given prompts, use no UNet.
    """
    if isinstance(spec, TrainedAttack):
        return _training(spec.steps, spec.batch)
    if isinstance(spec, UnlearnDiff):
        searched = spec.prompts * spec.timesteps * spec.steps
        work = Workload(steps=ceil(spec.prompts / spec.batch) * spec.timesteps * spec.steps, gradient=searched)
        if spec.loss == "p4d":
            work += Workload(forward=searched)
        return work + _drawing(spec.timesteps * spec.check, block, sampler) * spec.prompts
    if isinstance(spec, LatentInversion):
        inverted = (spec.pictures + spec.references) * spec.steps
        # Plain DDIM inversion, and the pictures of both inversions.
        work = Workload(forward=3 * inverted, gradient=spec.iterations * inverted)
        return work + _drawing(spec.references, block, sampler)
    return Workload()


def _suite_pictures(evaluate: Evaluate) -> int:
    return sum(len(suite.prompts) * suite.pictures for suite in evaluate.suites.values())


def count_lora_draws(lora: Lora) -> int:
    """Return how often a LoRA's pictures are drawn at most: by release, by base, by each rank of a binary search."""
    return 2 + ceil(log2(lora.most_rank + 1))


_SLD_PASSES = 3
"""Passes a guided step of Safe Latent Diffusion: for the prompt, the empty prompt and the safety concept."""


def _drawing(pictures: int, block: int, sampler: Sampler, passes: int = 2) -> Workload:
    padded = ceil(pictures / block) * block
    guided = 0 if sampler.guidance == 1 else len(sampler.guided)
    return Workload(pictures, forward=padded * (sampler.steps + guided * (passes - 1)))


def _training(steps: int, batch: int) -> Workload:
    return Workload(steps=steps, gradient=steps * batch)


def _lora(params: Params) -> Workload:
    lora = params.release.lora
    if lora is None or isinstance(params.removals[params.release.row], NoRemoval):
        return Workload()
    pictures = min(lora.pictures, _suite_pictures(params.evaluate))
    once, draws = _drawing(pictures, params.compute.block, params.sampler), count_lora_draws(lora)
    return Workload(once.pictures * draws, forward=once.forward * draws)


def _removal(name: str, params: Params) -> Workload:
    removal = params.removals[name]
    # A recipe and imported weights compute nothing; what another package computes is unknown.
    if isinstance(removal, NoRemoval | Imported | Negative | SLD | RegisteredRemoval):
        return Workload()
    if isinstance(removal, ClosedForm | UCE | RECE):
        return _samples(2 + (removal.rounds if isinstance(removal, RECE) else 0), params.sampler)
    if isinstance(removal, FineTuned):
        return _finetuning(removal, params)
    if isinstance(removal, Anchored):
        return _anchored(removal, params)
    # Estimates of the frozen model that one target is the sum of.
    parts = 2 if isinstance(removal, ESD) else 1
    samples = min(SAMPLES_PER_REMOVAL, ceil(removal.steps / removal.reuse))
    return _distilling(removal, len(params.concepts), parts) + _samples(samples, params.sampler)


def _anchored(removal: Anchored, params: Params) -> Workload:
    """Return what an anchored removal computes; with judged words at most, as if one of each concept were mapped."""
    concepts, starts, parts = len(params.concepts), len(removal.reinvert_from), 2 if removal.contrast else 1
    further = removal.anchors if removal.anchors > 1 else 0
    inversions = concepts * (further + starts * (removal.rounds - 1))
    work = _training(inversions * removal.reinvert_steps, params.invert.batch)
    if removal.words == "judged":
        judged = concepts * (len(removal.vocabulary) or NEAREST_WORDS)
        pictures = _drawing(2 * removal.word_pictures, params.compute.block, params.sampler)
        work += Workload(judged * pictures.pictures, forward=judged * pictures.forward)
    for number in range(1, removal.rounds + 1):
        # Per concept the text, v*, the tokens of each earlier re-inversion, those near v*, and words.
        taught = 2 + starts * (number - 1) + bool(removal.jitter) + (removal.words == "judged")
        kept = removal.preserve + (removal.words != "free")
        work += _distilling(removal, concepts * taught, parts, kept)
    samples = min(SAMPLES_PER_REMOVAL, removal.rounds * ceil(removal.steps / removal.reuse))
    return work + _samples(samples, params.sampler)


def _distilling(removal: Distillation, taught: int, parts: int, kept: int = 0) -> Workload:
    kept += bool(removal.preserved)
    rollouts = ceil(removal.steps / removal.reuse) * (taught + kept) * removal.rollouts
    visited = rollouts * removal.rollout_steps * (1 if removal.guidance == 1 else 2)
    rows = removal.steps * removal.batch
    return Workload(
        steps=removal.steps, forward=visited + rows * (parts * taught + kept), gradient=rows * (taught + kept)
    )


def _finetuning(removal: FineTuned, params: Params) -> Workload:
    own = _drawing(len(removal.preserved) * removal.pictures, params.compute.block, params.sampler)
    # A pair has two pictures, and the frozen base sees all that dpo learns from.
    pair = isinstance(removal, DPO)
    trained = removal.steps * removal.batch * (1 + pair + bool(removal.preserved))
    samples = ceil(removal.steps / max(1, removal.steps // SAMPLES_PER_REMOVAL))
    work = Workload(steps=removal.steps, forward=own.forward + trained * pair, gradient=trained)
    return work + _samples(samples, params.sampler)


def _samples(count: int, sampler: Sampler) -> Workload:
    return _drawing(count * PICTURES_PER_SAMPLE, 1, sampler)
