"""The trainer of removals that learn from pictures instead of roll-outs, and the pictures that they learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hfi_core.compute.data_parallel import current_group
from hfi_core.compute.seeding import picture_seed
from hfi_core.compute.training_loop import Checkpoint, Observer
from hfi_core.erasure.trainer import DistillationSettings, StepCallback, learn_average
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.models.diffusion.sampling import denoise, draw_initial_noise
from hfi_core.params import Sampler

CHECKPOINT_EVERY = 20


@dataclass(frozen=True)
class Pictures:
    """Pictures with the conditions that they were drawn under."""

    latents: torch.Tensor
    """x0: scaled latents (N, C, H, W), float32."""
    conditions: torch.Tensor
    """(P, L, D)."""
    prompt: torch.Tensor
    """(N,): the row of each picture's condition."""

    def noised(self, model: TextToImage, chosen: torch.Tensor, noise: "Noise") -> tuple[torch.Tensor, torch.Tensor]:
        """Return x_t (B, C, H, W) and the condition (B, L, D) of the chosen pictures (B,)."""
        x_t = model.schedule.add_noise(self.latents[chosen], noise.eps, noise.t)
        return x_t, self.conditions[self.prompt[chosen]]


@dataclass(frozen=True)
class Noise:
    """What is added to one batch of pictures."""

    t: torch.Tensor
    """(B,), uniform over all timesteps."""
    eps: torch.Tensor
    """(B, C, H, W)."""

    def __getitem__(self, rows: slice) -> "Noise":
        return Noise(self.t[rows], self.eps[rows])


@torch.no_grad()
def make_pictures(model: TextToImage, latents: torch.Tensor, prompts: Sequence[str]) -> Pictures:
    """Return pictures (N, C, H, W) with the conditions of their prompts (N,)."""
    texts = sorted(set(prompts))
    prompt = torch.tensor([texts.index(text) for text in prompts], device=model.device)
    return Pictures(latents.to(model.device), model.encode(texts), prompt)


@torch.no_grad()
def draw_own_pictures(
    model: TextToImage, prompts: Sequence[str], count: int, sampler: Sampler, block: int, key: tuple[object, ...]
) -> Pictures:
    """Draw `count` pictures of each prompt by the base, as latents."""
    texts = [prompt for prompt in prompts for _ in range(count)]
    unconditional, parts = model.encode([""]), []
    for start in range(0, len(texts), block):
        numbers = [min(number, len(texts) - 1) for number in range(start, start + block)]
        x_T = draw_initial_noise(model, [picture_seed("own", *key, number) for number in numbers])
        condition = model.encode([texts[number] for number in numbers])
        *_, (x_0, _) = denoise(model, x_T, condition, unconditional.expand_as(condition), sampler=sampler)
        parts.append(x_0.float())
    return make_pictures(model, torch.cat(parts)[: len(texts)], texts)


def draw_noise(model: TextToImage, count: int, generator: torch.Generator) -> Noise:
    """Draw the timesteps and the noise of a batch."""
    t = torch.randint(0, len(model.schedule.alpha_bar), (count,), generator=generator)
    eps = torch.randn((count, *model.latent_shape), generator=generator)
    return Noise(t.to(model.device), eps.to(model.device))


def denoising_errors(
    model: TextToImage, pictures: Pictures, chosen: torch.Tensor, noise: Noise, weights: Weights | None
) -> torch.Tensor:
    """Return the mean square of eps - eps_theta(x_t, t, c) (B,) for the chosen pictures (B,).

    For a model that predicts v, the error is taken in v.
    """
    x_t, condition = pictures.noised(model, chosen.to(model.device), noise)
    error = noise.eps - model.predict(x_t, noise.t, condition, weights)
    return model.schedule.output_error(error, noise.t).square().mean(dim=(1, 2, 3))


Loss = Callable[[int, slice, dict[str, torch.Tensor]], torch.Tensor]
"""`loss(step, rows, student)`: the mean loss over these rows of the step's batch. Its draws follow from the step."""


def finetune(
    model: TextToImage,
    loss: Loss,
    batch: int,
    settings: DistillationSettings,
    *,
    start: dict[str, torch.Tensor],
    work: Path | None,
    before_step: StepCallback,
    observe: Observer,
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Minimise a loss over pictures. Return the averaged weights by name, which are the result, and all losses.

    Several processes learn together as in `trainer.distill`.

    Raises UserError if there are more processes than rows, or if the loss diverges.
    """
    group = current_group()
    group.require_rows(batch=batch)

    def step_loss(step: int, student: dict[str, torch.Tensor], average: dict[str, torch.Tensor]) -> torch.Tensor:
        before_step(step, average)
        return loss(step, group.rows(batch), student) * group.weight(batch)

    checkpoint = Checkpoint(work / "finetuning.safetensors", CHECKPOINT_EVERY) if work else None
    average, history = learn_average(model, step_loss, settings, start=start, checkpoint=checkpoint, observe=observe)
    return average, history.tolist()
