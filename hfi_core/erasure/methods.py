"""The removal methods by name. Each takes a model and the concepts, and returns weights and the loss of every step."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch

from hfi_core.erasure import anchored, closed_form, dpo, esd, rece, reward_weighted, sdd, uce
from hfi_core.erasure.adversarial_tokens import FoundToken, find_again
from hfi_core.erasure.anchors import with_anchors
from hfi_core.erasure.finetuning import Loss, Pictures, draw_own_pictures, finetune, make_pictures
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings
from hfi_core.erasure.targets import (
    DistillationTarget,
    ErasureConcept,
    TargetNoise,
    frozen_target,
    preservation_targets,
)
from hfi_core.erasure.trainer import DistillationSettings, StepCallback, distill
from hfi_core.erasure.words import WORDS, choose_words, list_other_words
from hfi_core.inversion.examples import JudgedPictures
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import (
    DPO,
    ESD,
    RECE,
    SDD,
    UCE,
    Anchored,
    ClosedForm,
    Distillation,
    FineTuned,
    Params,
    RegisteredRemoval,
    Removal,
    RewardWeighted,
    Trained,
)
from hfi_core.params.workload import SAMPLES_PER_REMOVAL
from hfi_core.progress import Progress, report_steps


class Method(Protocol):
    """Learn a removal. `work` is a folder for checkpoints; None writes none."""

    def __call__(
        self,
        model: TextToImage,
        concepts: list[ErasureConcept],
        spec,
        params: Params,
        *,
        key: tuple[object, ...],
        work: Path | None,
        before_step: StepCallback,
        progress: Progress,
    ) -> tuple[dict[str, torch.Tensor], list[float]]: ...


def sampling_interval(spec: Removal) -> int:
    """Return the number of steps between two samples of a removal: a multiple of the steps that share roll-outs."""
    if not isinstance(spec, Trained):
        return 1
    steps = spec.steps * (spec.rounds if isinstance(spec, Anchored) else 1)
    reuse = spec.reuse if isinstance(spec, Distillation) else 1
    return reuse * max(1, steps // reuse // SAMPLES_PER_REMOVAL)


def distillation_settings(spec: Trained) -> DistillationSettings:
    """Return the trainer's settings for a removal."""
    return DistillationSettings(steps=spec.steps, rate=spec.rate, ema=spec.ema)


def make_rollouts(
    model: TextToImage, targets: list[DistillationTarget], spec: Distillation, params: Params, key: tuple[object, ...]
) -> RollOuts:
    """Return the teacher's roll-outs under the targets' conditions, with the settings of a removal."""
    settings = RolloutSettings(
        batch=spec.batch,
        sampler=params.sampler.model_copy(update={"steps": spec.rollout_steps, "guidance": spec.guidance}),
        rollouts=spec.rollouts,
        reuse=spec.reuse,
        concentration=spec.concentration,
    )
    return RollOuts(model, targets, settings, key)


def remove_by_sdd(model, concepts, spec: SDD, params: Params, **options):
    """Distil once, under the text concept or under v* (Kim et al. 2023; HFI, section 4)."""
    targets = sdd.make_targets(model, concepts, spec.condition)
    return _distill_once(model, targets, sdd.unconditional_target(model), spec, params, **options)


def remove_by_esd(model, concepts, spec: ESD, params: Params, **options):
    """Distil once, under the text concept or under v*, away from the frozen base (Gandikota et al. 2023)."""
    targets = esd.make_targets(model, concepts, spec.condition, spec.negative_guidance)
    return _distill_once(model, targets, frozen_target(model), spec, params, **options)


def _distill_once(
    model: TextToImage,
    targets: list[DistillationTarget],
    target_noise: TargetNoise,
    spec: Distillation,
    params: Params,
    *,
    key,
    work,
    before_step,
    progress,
):
    targets = [*targets, *preservation_targets(model, spec.preserved)]
    weights, losses = distill(
        model,
        make_rollouts(model, targets, spec, params, key),
        target_noise,
        distillation_settings(spec),
        start=model.unet_parameters(spec.learns),
        work=work,
        before_step=before_step,
        observe=report_steps(progress, spec.steps, "distilling"),
    )
    return weights, losses.tolist()


def remove_anchored(model, concepts, spec: Anchored, params: Params, *, key, work, before_step, progress):
    """Distil in rounds: map text and v* onto u*, invert a new token on the result, map that token too."""
    weights = model.unet_parameters(spec.learns)
    options = {"work": work, "progress": progress}
    concepts = [with_anchors(model, concept, spec, params, key=key, **options) for concept in concepts]
    anchors_of, words = anchored.anchor_prompts(spec), choose_words(model, concepts, spec, params, **options)
    found: dict[str, list[FoundToken]] = {concept.name: [] for concept in concepts}
    losses: list[float] = []
    for number in range(1, spec.rounds + 1):
        round_work = work / f"round-{number}" if work else None
        if number > 1:
            for concept in concepts:
                found[concept.name] += find_again(
                    model, concept, number, weights, spec, params, key=key, work=round_work, progress=progress
                )
        finished = round_work / "done.safetensors" if round_work else None
        if finished and finished.exists():
            tensors, meta = load_tensors(finished)
            # In the order and the memory layout of the model, as they were: both decide how sums are rounded.
            weights = {n: torch.empty_like(w, dtype=torch.float32).copy_(tensors[n]) for n, w in weights.items()}
            history = meta["losses"]
        else:
            offset = len(losses)
            targets = anchored.make_targets(
                model, concepts, found, spec.contrast, spec.preserve, anchors_of=anchors_of, jitter=spec.jitter
            )
            targets += anchored.word_targets(model, concepts, words, spec.contrast, anchors_of)
            targets += preservation_targets(model, spec.preserved)
            weights, curve = distill(
                model,
                make_rollouts(model, targets, spec, params, (*key, number)),
                frozen_target(model),
                distillation_settings(spec),
                start=weights,
                work=round_work,
                before_step=_from_step(offset, before_step),
                observe=report_steps(progress, spec.steps, f"round {number}, distilling"),
            )
            history = curve.tolist()
            if finished:
                save_tensors(finished, weights, {"losses": history})
        losses += history
    return weights, losses


def _from_step(first: int, before_step: StepCallback) -> StepCallback:
    """Return a callback that counts the steps from `first` on."""
    return lambda step, teacher: before_step(first + step, teacher)


def remove_by_reward(model, concepts, spec: RewardWeighted, params: Params, *, key, **options):
    """Fine-tune on the judged pictures, weighted by how acceptable they are (Lee et al. 2023)."""
    judged = [concept.load_judged() for concept in concepts]
    pictures = _judged_pictures(model, concepts, judged)
    weights = 1 - torch.cat([one.rewards for one in judged])
    own = _own_pictures(model, spec, params, key)
    loss = reward_weighted.make_loss(model, pictures, weights, own, spec.beta, spec.batch, key)
    return _finetune(model, loss, spec, **options)


def remove_by_dpo(model, concepts, spec: DPO, params: Params, *, key, **options):
    """Fine-tune on pairs of judged pictures of one prompt (Wallace et al. 2024)."""
    judged = [concept.load_judged() for concept in concepts]
    pictures, pairs, offset = _judged_pictures(model, concepts, judged), [], 0
    for concept, one in zip(concepts, judged, strict=True):
        prompts = [prompt or concept.spec.text for prompt in one.prompts]
        found = dpo.find_pairs(prompts, one.labels.tolist(), concept.spec.feedback)
        pairs.append(replace(found, order=found.order + offset, worse=found.worse + offset))
        offset += len(prompts)
    own = _own_pictures(model, spec, params, key)
    return _finetune(model, dpo.make_loss(model, pictures, pairs, own, spec.beta, spec.batch, key), spec, **options)


def _judged_pictures(model: TextToImage, concepts: list[ErasureConcept], judged: list[JudgedPictures]) -> Pictures:
    prompts = [
        prompt or concept.spec.text for concept, one in zip(concepts, judged, strict=True) for prompt in one.prompts
    ]
    return make_pictures(model, torch.cat([one.latents for one in judged]), prompts)


def _own_pictures(model: TextToImage, spec: FineTuned, params: Params, key: tuple[object, ...]) -> Pictures | None:
    if not spec.preserved:
        return None
    return draw_own_pictures(model, spec.preserved, spec.pictures, params.sampler, params.compute.block, key)


def _finetune(model: TextToImage, loss: Loss, spec: FineTuned, *, work, before_step, progress):
    return finetune(
        model,
        loss,
        spec.batch,
        distillation_settings(spec),
        start=model.unet_parameters(spec.learns),
        work=work,
        before_step=before_step,
        observe=report_steps(progress, spec.steps, "fine-tuning"),
    )


def remove_in_closed_form(model, concepts, spec: ClosedForm, params: Params, *, key, work, before_step, progress):
    """Map text and v* onto u* in one solve. The curve is the objective before and after it."""
    targets = anchored.make_targets(model, concepts, {}, spec.contrast, preserve=True)
    words = list_other_words(model, concepts, WORDS)
    solve = closed_form.solve(model, targets, words, spec, params.compute.block)
    return _edit(model.cross_attention(), [solve], 1, before_step, progress)


def remove_by_uce(model, concepts, spec: UCE, params: Params, *, key, work, before_step, progress):
    """Edit keys and values in one solve (Gandikota et al. 2024). The curve is the objective before and after it."""
    base = model.unet_parameters("cross-kv")
    solve = uce.solve(base, uce.make_edit(model, concepts, spec), spec)
    return _edit(base, [solve], 1, before_step, progress)


def remove_by_rece(model, concepts, spec: RECE, params: Params, *, key, work, before_step, progress):
    """Edit by UCE, then in rounds by what is left (Gong et al. 2024). The curve has two values of each solve."""
    base = model.unet_parameters("cross-kv")
    solves = rece.edit_in_rounds(base, uce.make_edit(model, concepts, spec), spec)
    return _edit(base, solves, 1 + spec.rounds, before_step, progress)


def _edit(base, solves, total: int, before_step: StepCallback, progress: Progress):
    before_step(0, base)
    losses: list[float] = []
    for number, (weights, values) in enumerate(solves, start=1):
        losses += values
        before_step(number, weights)
        progress(number, total, "solving")
    return weights, losses


def remove_by_registered(model, concepts, spec: RegisteredRemoval, params: Params, **options):
    """Call the method of another package, and check that the weights that it returns fit the UNet."""
    weights, losses = spec.remove(model, concepts, params, **options)
    model.require_fitting(weights, f"The method {spec.method!r}")
    return weights, losses


def find_method(spec: Removal) -> Method:
    """Return the method of a removal."""
    return remove_by_registered if isinstance(spec, RegisteredRemoval) else METHODS[spec.method]


METHODS: dict[str, Method] = {
    "sdd": remove_by_sdd,
    "anchored": remove_anchored,
    "esd": remove_by_esd,
    "reward_weighted": remove_by_reward,
    "dpo": remove_by_dpo,
    "uce": remove_by_uce,
    "rece": remove_by_rece,
    "closed_form": remove_in_closed_form,
}
