"""Reward-weighted textual inversion: turn pictures and their weights into a soft token (method, section 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.compute.training_loop import Checkpoint, Observer, ParameterGroup, cosine_decay, fit
from hfi_core.inversion.tokens import token_phrase
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.params import Invert, Reinversion
from hfi_core.prompts import mentions, replace_text

CHECKPOINT_EVERY = 50
FLOAT16_SCALE = 4096.0


@dataclass(frozen=True)
class TrainingExamples:
    """The pictures that a token is inverted from."""

    latents: torch.Tensor
    """Scaled latents (N, C, H, W), float32."""
    prompts: Sequence[str | None]
    """The prompt of each picture. The token takes the place of the concept's text in it. If the prompt is unknown, or
    does not contain that text, the token stands alone."""
    weights: torch.Tensor
    """w(x) (N,), not negative."""
    opposite: "TrainingExamples | None" = None
    """The pictures of the other side, for an inversion with contrast."""


@dataclass(frozen=True)
class InversionSettings:
    """The numbers of an inversion; see `params.Invert`."""

    steps: int
    batch: int
    rate: float
    max_timestep_fraction: float
    """Fraction of the timesteps, counted from the noisiest, that t is drawn from; `noisiest` in params."""
    contrast: float = 0.0
    """lambda: how strongly the token is moved away from the pictures of the other side."""

    @classmethod
    def of(cls, spec: Invert | Reinversion, steps: int | None = None) -> "InversionSettings":
        """Return the settings of the stage invert, or of an attack; `steps` replaces their number of steps."""
        steps = spec.steps if steps is None else steps
        return cls(steps, spec.batch, spec.rate, spec.noisiest, spec.contrast)


def make_start_vectors(model: TextToImage, word: str, vectors: int, *key: object) -> torch.Tensor:
    """Return the start (vectors, D) of an inversion: the embeddings of a word, repeated as often as needed.

    Repeats get some noise, because equal vectors would stay equal.
    """
    return repeat_vectors(model.text.word_embedding(word), vectors, *key)


def repeat_vectors(given: torch.Tensor, vectors: int, *key: object) -> torch.Tensor:
    """Return `vectors` rows of (n, D): the given ones, and then the same again with some noise."""
    start = given[torch.arange(vectors) % len(given)]
    noise = torch.randn(start.shape, generator=torch_generator("start", *key)).to(start)
    repeated = (torch.arange(vectors, device=start.device) >= len(given)).unsqueeze(1)
    return start + 0.1 * given.std() * noise * repeated


def invert_token(
    model: TextToImage,
    examples: TrainingExamples,
    text: str,
    name: str,
    start: torch.Tensor,
    settings: InversionSettings,
    *,
    key: tuple[object, ...],
    student: Weights | None = None,
    beside: bool = False,
    work: Path | None = None,
    observe: Observer | None = None,
    snapshots: dict[int, torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find v* = argmin_v E[w(x) || eps - eps_theta(x_t, t, v) ||^2] (HFI, section 3; Gal et al. 2022, eq. 2).

    For a model that predicts v, the error is taken in v.

    Three deviations. t is uniform over the noisiest timesteps only: they decide what a picture shows, and the others
    only add variance. Pictures are drawn with probability w(x): the expectation is the same, and the variance is lower.
    With `settings.contrast`, lambda, the loss is E_x - lambda E_y, where y are the pictures of the other side, weighted
    in the same way: what both sides share has little gradient then, and what tells them apart is learnt. Half of a
    batch are y.

    Args:
        text: the concept's text, whose place the token takes in the prompts of the examples.
        name: the token's name in prompts.
        start: first value of the vectors (n, D).
        key: names the random draws.
        student: weights of a safeguarded model, if the token is inverted on one.
        beside: whether the token stands after the concept's text, and not in its place.
        work: folder for checkpoints; None writes none.
        snapshots: by numbers of steps; each value is replaced by the vectors (n, D) after so many steps.

    Returns the vectors (n, D), and the losses (steps,).

    Raises UserError if the loss diverges.
    """
    vectors = torch.nn.Parameter(start.clone())
    sides = [(1.0, examples)]
    if settings.contrast:
        assert examples.opposite is not None, "an inversion with contrast needs the pictures of the other side"
        sides.append((-settings.contrast, examples.opposite))
    sources = [[prompt if prompt and mentions(prompt, text) else text for prompt in side.prompts] for _, side in sides]
    texts = sorted({prompt for prompts in sources for prompt in prompts})
    phrase = token_phrase(text, name, beside=beside)
    prompts = [replace_text(prompt, text, phrase) for prompt in texts]
    prompt_of = [torch.tensor([texts.index(prompt) for prompt in source]) for source in sources]
    # The first side gets the odd picture.
    batches = [len(range(i, settings.batch, len(sides))) for i in range(len(sides))]
    factors = torch.cat([torch.full((n,), f / n) for (f, _), n in zip(sides, batches, strict=True)]).to(model.device)
    timesteps = len(model.schedule.alpha_bar)
    first = min(timesteps - 1, round((1 - settings.max_timestep_fraction) * timesteps))

    def loss(step: int) -> torch.Tensor:
        generator = torch_generator("invert", *key, step)
        rows = [
            torch.multinomial(side.weights, count, replacement=True, generator=generator)
            for (_, side), count in zip(sides, batches, strict=True)
        ]
        t = torch.randint(first, timesteps, (settings.batch,), generator=generator).to(model.device)
        x0 = torch.cat([side.latents[own] for (_, side), own in zip(sides, rows, strict=True)]).to(model.device)
        eps = torch.randn(x0.shape, generator=generator).to(model.device)
        prompt = torch.cat([of[own] for of, own in zip(prompt_of, rows, strict=True)]).to(model.device)
        condition = model.encode(prompts, {name: vectors})[prompt]
        x_t = model.schedule.add_noise(x0, eps, t)
        error = eps - model.predict(x_t, t, condition, student)
        losses = model.schedule.output_error(error, t).square().mean(dim=(1, 2, 3))
        return (factors * losses).sum()

    # Part of the checkpoint: a run that goes on from it has the snapshots before it.
    kept = {str(step): torch.zeros_like(vectors, requires_grad=False) for step in snapshots or ()}

    def keep_snapshot(step: int) -> None:
        if (snapshot := kept.get(str(step + 1))) is not None:
            snapshot.copy_(vectors.detach())

    history = fit(
        [ParameterGroup({"vectors": vectors}, settings.rate)],
        loss,
        name=f"The inversion of {name}",
        steps=settings.steps,
        schedule=cosine_decay,
        checkpoint=Checkpoint(work / "inversion.safetensors", CHECKPOINT_EVERY) if work else None,
        observe=observe,
        after_step=keep_snapshot,
        state=kept,
        scale=FLOAT16_SCALE if model.dtype == torch.float16 else 1.0,
    )
    if snapshots is not None:
        snapshots |= {int(step): snapshot.cpu() for step, snapshot in kept.items()}
    return vectors.detach().cpu(), history
