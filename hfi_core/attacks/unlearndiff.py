"""UnlearnDiffAtk (Zhang et al., ECCV 2024): words before a prompt with which the model draws a picture again.

The words are found by gradients on the diffusion loss of a picture, so no classifier and no second model is needed
(their section 4). With P4D's loss (Chin et al., ICML 2024, eq. 4), the model's noise must match that of the base under
the prompt alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hfi_core.attacks.adversarial_words import join_words, require_room, require_words
from hfi_core.compute.seeding import torch_generator
from hfi_core.inversion.textual_inversion import FLOAT16_SCALE
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.text_encoders import Vocabulary


@dataclass(frozen=True)
class Targets:
    """What one search works on: pictures, the prompts to put words before, and whose noise must be met."""

    latents: torch.Tensor
    """Scaled latents (N, C, H, W), float32."""
    prompts: Sequence[str]
    base: TextToImage | None
    """The base model, for P4D's loss; None for UnlearnDiffAtk's."""


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
    targets: Targets,
    vocabulary: Vocabulary,
    *,
    tokens: int,
    timesteps: int,
    steps: int,
    rate: float,
    weight_decay: float,
    key: tuple[object, ...],
    observe: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[list[str], list[float]]:
    """Find `tokens` words to put before each prompt, so that the model draws its picture.

    Each place has a distribution over the vocabulary, uniform at the start. At each of the timesteps in turn, from the
    least noisy, `steps` times: a word is drawn for each place, the gradient of the loss at these words is clipped
    to [-1, 1] and taken as the distributions' own (straight-through), Adam steps, and the distributions are
    projected onto the simplex. After each timestep the likeliest words are a candidate. The candidate with the lowest
    mean loss over all timesteps is the result: the authors ask a classifier instead, which here would judge its own
    work. Prompts are searched for side by side, and do not depend on each other.

    Args:
        key: names the random draws.
        observe: called after every step.

    Returns the prompts with their words, and the mean loss of every step (timesteps * steps,).

    Raises UserError if the text encoder does not read as many tokens, or if the vocabulary is too small.
    """
    require_words(vocabulary, "unlearndiff", 2)
    for prompt in targets.prompts:
        require_room(model, "unlearndiff", tokens, prompt)
    shape = (len(targets.prompts), tokens, len(vocabulary.words))
    chosen = torch.full(shape, 1 / shape[-1], device=model.device).requires_grad_()
    optimizer = torch.optim.Adam([chosen], lr=rate, weight_decay=weight_decay, foreach=False)
    candidates: list[torch.Tensor] = []
    losses: list[float] = []
    scale = FLOAT16_SCALE if model.dtype == torch.float16 else 1.0
    visited = timesteps_of(timesteps, len(model.schedule.alpha_bar))
    for t in visited:
        for _ in range(steps):
            generator = torch_generator(*key, len(losses))
            words = torch.multinomial(chosen.detach().cpu().flatten(0, 1), 1, generator=generator).view(shape[:2])
            one_hot = torch.nn.functional.one_hot(words, shape[-1]).float().to(model.device).requires_grad_()
            condition = _encode(model, targets.prompts, one_hot @ vocabulary.embeddings)
            loss = _losses(model, targets, t, condition, generator)
            (loss.sum() * scale).backward()
            assert one_hot.grad is not None
            chosen.grad = (one_hot.grad / scale).clamp(-1, 1)
            optimizer.step()
            chosen.data = project_onto_simplex(chosen.data)
            losses.append(float(loss.detach().mean()))
            observe(len(losses), losses[-1])
        candidates.append(chosen.detach().argmax(dim=-1).cpu())
    found = []
    for i, prompt in enumerate(targets.prompts):
        own = Targets(targets.latents[i : i + 1], [prompt], targets.base)
        prompts = list(dict.fromkeys(join_words(vocabulary, words[i].tolist(), prompt) for words in candidates))
        found.append(min(prompts, key=lambda text: _mean_loss(model, own, visited, text, key)))
    return found, losses


def _encode(model: TextToImage, prompts: Sequence[str], vectors: torch.Tensor) -> torch.Tensor:
    """Return conditions (N, L, D) of the prompts, each after its own vectors (tokens, D)."""
    names = [f"<before-{i}>" for i in range(len(prompts))]
    own = dict(zip(names, vectors, strict=True))
    # One prompt at a time knows one token only: the vectors of the others are not its.
    return torch.cat(
        [model.encode([f"{name} {prompt}"], {name: own[name]}) for name, prompt in zip(names, prompts, strict=True)]
    )


def _losses(
    model: TextToImage, targets: Targets, t: int, condition: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Return the loss of each picture (N,) at one timestep, with a noise of its own."""
    x0 = targets.latents.to(model.device)
    at = torch.full((len(x0),), t, device=model.device)
    eps = torch.randn(x0.shape, generator=generator).to(model.device)
    x_t = model.schedule.add_noise(x0, eps, at)
    if targets.base:
        with torch.no_grad():
            eps = targets.base.predict(x_t, at, targets.base.encode(targets.prompts))
    error = eps - model.predict(x_t, at, condition)
    return model.schedule.output_error(error, at).square().mean(dim=(1, 2, 3))


@torch.no_grad()
def _mean_loss(model: TextToImage, target: Targets, visited: Sequence[int], text: str, key: tuple[object, ...]) -> float:
    """Return the mean loss of one picture under a prompt, over the timesteps, with the same noise for every prompt."""
    condition = model.encode([text])
    losses = [_losses(model, target, t, condition, torch_generator(*key, "check", t)) for t in visited]
    return float(torch.cat(losses).mean())
