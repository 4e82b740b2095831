"""The removal methods by name: each takes the model and the material, and gives weights and the loss of every step."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from hfi_core.compute.data_parallel import current_group
from hfi_core.erasure import anchored, closed_form, sdd
from hfi_core.erasure.rollouts import RollOuts, Sampling
from hfi_core.erasure.targets import DistillationTarget, ErasureConcept
from hfi_core.erasure.trainer import DistillationSettings, Look, distill
from hfi_core.inversion.textual_inversion import invert, start_vectors
from hfi_core.io.tensors import load_tensors, save_tensors
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import SDD, Anchored, ClosedForm, Params
from hfi_core.params.workload import LOOKS

Report = Callable[[int, int, str], None]


class Method(Protocol):
    """Learn a removal; `work` holds checkpoints."""

    def __call__(
        self, model: TextToImage, material: list[ErasureConcept], spec, params: Params, *,
        key: tuple[object, ...], work: Path | None, look: Look, observe: Report,
    ) -> tuple[dict[str, torch.Tensor], list[float]]: ...  # fmt: skip


def look_every(spec: SDD | Anchored | ClosedForm) -> int:
    """After how many steps of the curve the removal is looked at: a multiple of those that roll-outs serve."""
    if isinstance(spec, ClosedForm):
        return 1
    steps = spec.steps * (spec.rounds if isinstance(spec, Anchored) else 1)
    return spec.reuse * max(1, steps // spec.reuse // LOOKS)


def settings_of(spec: SDD | Anchored) -> DistillationSettings:
    """A removal's params as the trainer takes them."""
    return DistillationSettings(steps=spec.steps, rate=spec.rate, ema=spec.ema)


def roll_outs(
    model: TextToImage, lessons: list[DistillationTarget], spec: SDD | Anchored, params: Params, key: tuple[object, ...]
) -> RollOuts:
    """The teacher's roll-outs under the lessons, as a removal's params ask for them."""
    sampling = Sampling(
        batch=spec.batch, guidance=spec.guidance, scheduler=params.sampler.scheduler,
        rollout_steps=spec.rollout_steps, rollouts=spec.rollouts, reuse=spec.reuse, concentration=spec.concentration,
    )  # fmt: skip
    return RollOuts(model, lessons, sampling, key)


def remove_by_sdd(model, material, spec: SDD, params: Params, *, key, work, look, observe):
    """One run under the text or under v*."""
    lessons = sdd.lessons(model, material, spec.condition)
    weights, losses = distill(
        model, roll_outs(model, lessons, spec, params, key), sdd.own_unconditional(model), settings_of(spec),
        start=model.cross_attention(), work=work, look=look,
        observe=lambda step, _: observe(step + 1, spec.steps, "distilling"),
    )  # fmt: skip
    return weights, losses.tolist()


def remove_anchored(model, material, spec: Anchored, params: Params, *, key, work, look, observe):
    """Rounds: map text and v* onto u*, re-invert on what came of it, map what was found too."""
    weights = model.cross_attention()
    found: dict[str, dict[str, torch.Tensor]] = {}
    losses: list[float] = []
    for number in range(1, spec.rounds + 1):
        here = work / f"round-{number}" if work else None
        if number > 1:
            for part in material:
                name = f"<{part.name}-round-{number}>"
                vectors, _ = invert(
                    model, part.objectionable(), part.concept.text, name,
                    start_vectors(model, part.concept.initial.objectionable, params.invert.vectors, *key, name),
                    steps=spec.reinvert_steps, batch=params.invert.batch, rate=params.invert.rate,
                    noisiest=params.invert.noisiest, key=(*key, name),
                    student=weights, work=here / part.name if here else None,
                    observe=lambda step, _, n=number: observe(step + 1, spec.reinvert_steps, f"round {n}, inverting"),
                )  # fmt: skip
                # Every process has inverted it, since each would else wait for the one that does.
                found.setdefault(part.name, {})[name] = current_group().agreed(vectors.to(model.device))
        done = here / "done.safetensors" if here else None
        if done and done.exists():
            tensors, meta = load_tensors(done)
            weights, history = {n: t.to(model.device) for n, t in tensors.items()}, meta["losses"]
        else:
            offset = len(losses)
            lessons = anchored.lessons(model, material, found, spec.contrast, spec.preserve)
            weights, curve = distill(
                model, roll_outs(model, lessons, spec, params, (*key, number)), anchored.frozen_anchor(model),
                settings_of(spec), start=weights, work=here,
                look=lambda step, teacher, offset=offset: look(offset + step, teacher),
                observe=lambda step, _, n=number: observe(step + 1, spec.steps, f"round {n}, distilling"),
            )  # fmt: skip
            history = curve.tolist()
            if done:
                save_tensors(done, weights, {"losses": history})
        losses += history
    return weights, losses


def remove_in_closed_form(model, material, spec: ClosedForm, params: Params, *, key, work, look, observe):
    """Text and v* mapped onto u* in one solve; the curve is the objective without it and with it."""
    look(0, model.cross_attention())
    lessons = anchored.lessons(model, material, {}, spec.contrast, preserve=True)
    weights, losses = closed_form.solve(model, lessons, spec, params.compute.block)
    look(1, weights)
    observe(1, 1, "solving")
    return weights, list(losses)


METHODS: dict[str, Method] = {"sdd": remove_by_sdd, "anchored": remove_anchored, "closed_form": remove_in_closed_form}
