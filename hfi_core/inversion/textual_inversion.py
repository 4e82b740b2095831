"""Reward-weighted textual inversion: pictures and their weights become a soft token (method, section 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.compute.training_loop import Checkpoint, Observer, ParameterGroup, cosine, fit
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.prompts import mentions, replace_text

CHECKPOINT_EVERY = 50
FLOAT16_SCALE = 4096.0


@dataclass(frozen=True)
class TrainingExamples:
    """What a token is inverted from."""

    latents: torch.Tensor
    """Scaled latents (N, C, H, W), float32."""
    prompts: Sequence[str | None]
    """The prompt that each was drawn for; the token takes the place of the concept's text in it. Where the prompt is
    unknown or does not hold that text, the token stands alone."""
    weights: torch.Tensor
    """w(x) (N,), not negative."""


def start_vectors(model: TextToImage, word: str, vectors: int, *key: object) -> torch.Tensor:
    """The start (vectors, D): the word's embeddings over and over, the repeats slightly moved so that they part."""
    words = model.text.word_embedding(word)
    start = words[torch.arange(vectors) % len(words)]
    noise = torch.randn(start.shape, generator=torch_generator("start", *key)).to(start)
    repeated = (torch.arange(vectors, device=start.device) >= len(words)).unsqueeze(1)
    return start + 0.1 * words.std() * noise * repeated


def invert(
    model: TextToImage,
    examples: TrainingExamples,
    text: str,
    name: str,
    start: torch.Tensor,
    *,
    steps: int,
    batch: int,
    rate: float,
    noisiest: float,
    key: tuple[object, ...],
    student: Weights | None = None,
    work: Path | None = None,
    observe: Observer | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """v* = argmin_v E[w(x) || eps - eps_theta(x_t, t, v) ||^2] (HFI, section 3; Gal et al. 2022, eq. 2).

    t is uniform over the `noisiest` share of the timesteps, a deviation: what a picture shows is decided there, and the
    rest of the schedule adds only variance. Pictures are drawn with probability w(x), which has the expectation of
    weighting the loss and less variance. `student` weights make it an inversion on a safeguarded model. Returns the
    vectors (n, D) and the losses (steps,).

    Raises UserError if it diverges.
    """
    vectors = torch.nn.Parameter(start.clone())
    drawn_for = [prompt if prompt and mentions(prompt, text) else text for prompt in examples.prompts]
    texts = sorted(set(drawn_for))
    prompts = [replace_text(prompt, text, name) for prompt in texts]
    prompt_of = torch.tensor([texts.index(prompt) for prompt in drawn_for])
    timesteps = len(model.schedule.alpha_bar)
    first = min(timesteps - 1, round((1 - noisiest) * timesteps))

    def loss(step: int) -> torch.Tensor:
        generator = torch_generator("invert", *key, step)
        rows = torch.multinomial(examples.weights, batch, replacement=True, generator=generator)
        t = torch.randint(first, timesteps, (batch,), generator=generator).to(model.device)
        x0 = examples.latents[rows].to(model.device)
        eps = torch.randn(x0.shape, generator=generator).to(model.device)
        condition = model.encode(prompts, {name: vectors})[prompt_of[rows].to(model.device)]
        x_t = model.schedule.add_noise(x0, eps, t)
        return (eps - model.predict(x_t, t, condition, student)).square().mean()

    history = fit(
        [ParameterGroup({"vectors": vectors}, rate)],
        loss,
        what=f"The inversion of {name}",
        steps=steps,
        schedule=cosine,
        checkpoint=Checkpoint(work / "inversion.safetensors", CHECKPOINT_EVERY) if work else None,
        observe=observe,
        scale=FLOAT16_SCALE if model.dtype == torch.float16 else 1.0,
    )
    return vectors.detach().cpu(), history
