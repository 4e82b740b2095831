"""UnlearnDiffAtk (Zhang et al., ECCV 2024): words before a prompt with which the model draws a picture again.

The words are found by gradients on the diffusion loss of a picture, so no classifier and no second model is needed
(their section 4). With P4D's loss (Chin et al., ICML 2024, eq. 4), the model's noise must match that of the base under
the prompt alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path

import torch

from hfi_core.attacks.adversarial_words import (
    Observer,
    draw_in_turn,
    ignore_steps,
    join_words,
    remember,
    require_room,
    require_words,
    score_prompts,
)
from hfi_core.attacks.base import Found, Target
from hfi_core.attacks.held_out import best_examples
from hfi_core.compute.seeding import torch_generator
from hfi_core.errors import UserError
from hfi_core.inversion.textual_inversion import FLOAT16_SCALE
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.text_encoders import Vocabulary
from hfi_core.params import UnlearnDiff
from hfi_core.progress import Progress

_NAME = "<before>"


@dataclass(frozen=True)
class Scenes:
    """The pictures that one search wants drawn again, and the prompts to put words before."""

    latents: torch.Tensor
    """Scaled latents (N, C, H, W), float32."""
    prompts: Sequence[str]
    base: TextToImage | None = None
    """The base model, for P4D's loss; None for UnlearnDiffAtk's."""


def attack(target: Target, spec: UnlearnDiff, *, work: Path | None, progress: Progress) -> Found:
    """Find words for each of the held-out pictures that are most objectionable.

    The candidates of a prompt are those that `find_prefixes` leaves after each timestep. The one is taken whose
    pictures the reward model finds the most objectionable.
    """
    examples = best_examples(target, spec.prompts)
    base = target.load_base() if spec.loss == "p4d" else None
    vocabulary = target.model.text.vocabulary()
    found: list[tuple[str, str]] = []
    losses: list[float] = []
    total = -(-spec.prompts // spec.batch) * spec.timesteps * spec.steps
    for start in range(0, spec.prompts, spec.batch):
        part = slice(start, start + spec.batch)
        scenes = Scenes(examples.latents[part], [str(prompt) for prompt in examples.prompts[part]], base)
        done = len(losses)

        def observe(step: int, loss: float, done: int = done) -> None:
            progress(done + step + 1, total, "searching words")

        search = partial(
            find_prefixes,
            target.model,
            scenes,
            vocabulary,
            tokens=spec.tokens,
            timesteps=spec.timesteps,
            steps=spec.steps,
            rate=spec.rate,
            weight_decay=spec.weight_decay,
            key=(*target.key, start),
            observe=observe,
        )
        words, history = remember(work / f"{start}.json" if work else None, search)
        losses += history
        for prompt, candidates in zip(scenes.prompts, words, strict=True):
            scores = score_prompts(target, candidates, spec.check)
            found.append((prompt, candidates[scores.index(max(scores))]))
    return Found(draw_in_turn(target, found, spec.pictures), losses=losses)


def timesteps_of(count: int, length: int) -> list[int]:
    """Return the middles of `count` equal parts of the schedule, from the least noisy: 10, 30, ... 990 for 50."""
    return [int((i + 0.5) * length / count) for i in range(count)]


def project_onto_simplex(points: torch.Tensor) -> torch.Tensor:
    """Return the nearest distributions (..., V) to points, in the Euclidean norm (Duchi et al. 2008, figure 1)."""
    ordered = points.sort(dim=-1, descending=True).values
    excess = ordered.cumsum(dim=-1) - 1
    counts = torch.arange(1, points.shape[-1] + 1, device=points.device)
    support = (ordered * counts > excess).sum(dim=-1, keepdim=True)
    threshold = excess.gather(-1, support - 1) / support
    return (points - threshold).clamp(min=0)


def find_prefixes(
    model: TextToImage,
    scenes: Scenes,
    vocabulary: Vocabulary,
    *,
    tokens: int,
    timesteps: int,
    steps: int,
    rate: float,
    weight_decay: float,
    key: tuple[object, ...],
    observe: Observer = ignore_steps,
) -> tuple[list[list[str]], list[float]]:
    """Find `tokens` words to put before each prompt, so that the model draws its picture.

    Each place has a distribution over the vocabulary, uniform at the start. At each of the timesteps in turn, from the
    least noisy, `steps` times: a word is drawn for each place, the gradient of the loss at these words is clipped
    to [-1, 1] and taken as the distributions' own (straight-through), Adam steps, and the distributions are
    projected onto the simplex. After each timestep the likeliest words are a candidate. Prompts are searched for side
    by side, and do not depend on each other.

    Args:
        key: names the random draws.
        observe: called after every step.

    Returns the candidates of each prompt, each once, and the mean loss of every step (timesteps * steps,).

    Raises UserError if the text encoder does not read as many tokens, or if the vocabulary is too small.
    """
    require_words(vocabulary, "unlearndiff", 2)
    for prompt in scenes.prompts:
        require_room(model, "unlearndiff", tokens, prompt)
    shape = (len(scenes.prompts), tokens, len(vocabulary.words))
    chosen = torch.full(shape, 1 / shape[-1], device=model.device).requires_grad_()
    optimizer = torch.optim.Adam([chosen], lr=rate, weight_decay=weight_decay, foreach=False)
    candidates: list[torch.Tensor] = []
    losses: list[float] = []
    scale = FLOAT16_SCALE if model.dtype == torch.float16 else 1.0
    for t in timesteps_of(timesteps, len(model.schedule.alpha_bar)):
        for _ in range(steps):
            generator = torch_generator(*key, len(losses))
            words = torch.multinomial(chosen.detach().cpu().flatten(0, 1), 1, generator=generator).view(shape[:2])
            one_hot = torch.nn.functional.one_hot(words, shape[-1]).float().to(model.device).requires_grad_()
            condition = _encode(model, scenes.prompts, one_hot @ vocabulary.embeddings)
            loss = _losses(model, scenes, t, condition, generator)
            (loss.sum() * scale).backward()
            assert one_hot.grad is not None
            chosen.grad = (one_hot.grad / scale).clamp(-1, 1)
            optimizer.step()
            chosen.data = project_onto_simplex(chosen.data)
            losses.append(float(loss.detach().mean()))
            if not isfinite(losses[-1]):
                raise UserError(
                    f"The loss of the attack unlearndiff is {losses[-1]} at timestep {t}. To fix this: if "
                    "compute.dtype is float16, set it to bfloat16 or float32 in params.yaml."
                )
            observe(len(losses) - 1, losses[-1])
        candidates.append(chosen.detach().argmax(dim=-1).cpu())
    found = [
        list(dict.fromkeys(join_words(vocabulary, words[i].tolist(), prompt) for words in candidates))
        for i, prompt in enumerate(scenes.prompts)
    ]
    return found, losses


def _encode(model: TextToImage, prompts: Sequence[str], vectors: torch.Tensor) -> torch.Tensor:
    """Return conditions (N, L, D) of the prompts, each after its own vectors (tokens, D)."""
    parts = zip(prompts, vectors, strict=True)
    return torch.cat([model.encode([f"{_NAME} {prompt}"], {_NAME: own}) for prompt, own in parts])


def _losses(
    model: TextToImage, scenes: Scenes, t: int, condition: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Return the loss of each picture (N,) at one timestep, with a noise of its own."""
    x0 = scenes.latents.to(model.device)
    at = torch.full((len(x0),), t, device=model.device)
    eps = torch.randn(x0.shape, generator=generator).to(model.device)
    x_t = model.schedule.add_noise(x0, eps, at)
    if scenes.base:
        with torch.no_grad():
            eps = scenes.base.predict(x_t, at, scenes.base.encode(scenes.prompts))
    error = eps - model.predict(x_t, at, condition)
    return model.schedule.output_error(error, at).square().mean(dim=(1, 2, 3))
