"""Relearning: a small LoRA on a few pictures brings the concept back (Polowczyk et al. 2025, "MemoRa").

Whoever has the weights can do this. So its figures say what a release of open weights means, and not how well a removal
blocks prompts.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from hfi_core.attacks.base import Found, Target, repeat_prompts
from hfi_core.attacks.held_out import best_examples
from hfi_core.compute.seeding import derive_seed, torch_generator
from hfi_core.compute.training_loop import Checkpoint, ParameterGroup, cosine_decay, fit
from hfi_core.inversion.textual_inversion import CHECKPOINT_EVERY, FLOAT16_SCALE, TrainingExamples
from hfi_core.models.diffusion.loading import with_weights
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.params import Relearning
from hfi_core.progress import Progress, report_steps

_TARGETS = ["to_k", "to_q", "to_v", "to_out.0"]
"""The matrices of attention, as in diffusers' `train_text_to_image_lora.py`, which the authors call."""


def attack(target: Target, spec: Relearning, *, work: Path | None, progress: Progress) -> Found:
    """Train a LoRA on held-out pictures, and draw plain prompts with it, at each of the looks and at the end."""
    examples = best_examples(target, spec.examples)
    weights, history = relearn(target, spec, examples, work=work, progress=progress)
    prompts = []
    for step in (*spec.looks, None):
        drawn = repeat_prompts(target, lambda prompt: prompt, spec.pictures, step)
        prompts += [replace(prompt, weights=_name(step)) for prompt in drawn]
    return Found(prompts, weights=weights, losses=history.tolist())


def relearn(
    target: Target, spec: Relearning, examples: TrainingExamples, *, work: Path | None, progress: Progress
) -> tuple[dict[str, dict[str, torch.Tensor]], torch.Tensor]:
    """Minimise E || eps - eps_theta(x_t, t, prompt) ||^2 over a LoRA (Hu et al. 2021) of the UNet's attention.

    For a model that predicts v, the error is taken in v.

    Returns the merged matrices W + B A by parameter, after each look and at the end, and the losses (steps,).

    Raises UserError if the loss diverges.
    """
    model, learner = target.model, _add_lora(target.model, spec.rank, (*target.key, "lora"))
    lora = {name: value for name, value in learner.unet.named_parameters() if value.requires_grad}
    texts = sorted(set(map(str, examples.prompts)))
    with torch.no_grad():
        conditions = torch.cat([model.encode([text]) for text in texts])
    condition_of = torch.tensor([texts.index(str(prompt)) for prompt in examples.prompts])

    def loss(step: int) -> torch.Tensor:
        generator = torch_generator(*target.key, "relearning", step)
        rows = torch.randint(len(examples.latents), (spec.batch,), generator=generator)
        t = torch.randint(len(model.schedule.alpha_bar), (spec.batch,), generator=generator).to(model.device)
        x0 = examples.latents[rows].to(model.device)
        eps = torch.randn(x0.shape, generator=generator).to(model.device)
        x_t = model.schedule.add_noise(x0, eps, t)
        error = eps - learner.predict(x_t, t, conditions[condition_of[rows].to(model.device)])
        return model.schedule.output_error(error, t).square().mean()

    # Part of the checkpoint: a run that goes on from it has the looks before it.
    kept = {f"{look}/{name}": torch.zeros_like(value) for look in spec.looks for name, value in lora.items()}

    def keep_look(step: int) -> None:
        if step + 1 in spec.looks:
            for name, value in lora.items():
                kept[f"{step + 1}/{name}"].copy_(value.detach())

    history = fit(
        [ParameterGroup(lora, spec.rate)],
        loss,
        name="The relearning",
        steps=spec.steps,
        schedule=cosine_decay,
        weight_decay=spec.weight_decay,
        checkpoint=Checkpoint(work / "lora.safetensors", CHECKPOINT_EVERY) if work else None,
        observe=report_steps(progress, spec.steps, "relearning"),
        after_step=keep_look,
        state=kept,
        scale=FLOAT16_SCALE if model.dtype == torch.float16 else 1.0,
    )
    learnt = {_name(look): {name: kept[f"{look}/{name}"] for name in lora} for look in spec.looks}
    learnt[_name(None)] = dict(lora)
    base = model.unet_parameters("all")
    return {name: merge_lora(base, values) for name, values in learnt.items()}, history


def merge_lora(base: Mapping[str, torch.Tensor], lora: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return W + B A by parameter, in the base's precision, of a LoRA under PEFT's names, at scale 1."""
    merged = {}
    for name, a in lora.items():
        if ".lora_A." in name:
            module = name[: name.index(".lora_A.")]
            own = base[f"{module}.weight"].detach()
            change = lora[name.replace(".lora_A.", ".lora_B.")] @ a
            merged[f"{module}.weight"] = (own.float() + change.detach().float()).to(own).cpu()
    return merged


def _name(look: int | None) -> str:
    return "end" if look is None else f"step-{look}"


def _add_lora(model: TextToImage, rank: int, key: tuple[object, ...]) -> TextToImage:
    """Return a copy of the model whose UNet has a LoRA, in float32; it shares all else with the model."""
    from peft import LoraConfig

    learner = with_weights(model, {})
    with torch.random.fork_rng(devices=[]):  # PEFT draws from the global generator
        torch.manual_seed(derive_seed(*key))
        learner.unet.add_adapter(
            LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=_TARGETS)
        )
    for value in learner.unet.parameters():
        if value.requires_grad:
            value.data = value.data.float()
    return learner
