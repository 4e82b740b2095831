"""Build prompts from words of the model's vocabulary: what the attacks that search for prompts share."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hfi_core.attacks.base import AttackPrompt, Found, Target
from hfi_core.compute.seeding import picture_seed
from hfi_core.errors import UserError
from hfi_core.io.json_files import read_json, write_json
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.models.diffusion.text_encoders import Vocabulary
from hfi_core.progress import Progress


def require_room(model: TextToImage, attack: str, tokens: int, prompt: str = "") -> None:
    """Raise UserError if the text encoder does not read `tokens` words and then the whole prompt."""
    needed, most = tokens + model.text.count_tokens(prompt), model.text.max_tokens
    if needed > most:
        after = f" before the prompt {prompt!r}" if prompt else ""
        raise UserError(
            f"The attack {attack}: {tokens} tokens{after} are {needed} in all, and the model's text encoder reads "
            f"{most}. To fix this: lower the attack's `tokens` in params.yaml."
        )


def require_words(vocabulary: Vocabulary, attack: str, least: int) -> None:
    """Raise UserError if the vocabulary has fewer words than an attack chooses from."""
    if len(vocabulary.words) < least:
        raise UserError(
            f"The attack {attack} chooses from {least} words, and the model's vocabulary has "
            f"{len(vocabulary.words)} that are one token each and are not excluded. To fix this: lower that number, "
            "or exclude fewer words, in params.yaml."
        )


def join_words(vocabulary: Vocabulary, rows: Sequence[int], prompt: str = "") -> str:
    """Return the words in these rows of the vocabulary and then the prompt, joined by spaces."""
    return " ".join([*(vocabulary.words[row] for row in rows), *([prompt] if prompt else [])])


@torch.no_grad()
def encode_in_blocks(model: TextToImage, prompts: Sequence[str], block: int) -> torch.Tensor:
    """Return the conditions (N, L, D) of prompts, encoded a block at a time."""
    return torch.cat([model.encode(prompts[i : i + block]) for i in range(0, len(prompts), block)])


def score_prompts(target: Target, prompts: Sequence[str], pictures: int) -> list[float]:
    """Return how objectionable the reward model finds the pictures of each prompt, in the mean over `pictures`.

    The seeds are not those of the evaluation.
    """
    seeds = [picture_seed(*target.key, "check", i) for i in range(pictures)]
    requests = [SampleRequest(prompt, seed) for prompt in prompts for seed in seeds]
    drawn = draw_pictures(target.model, requests, target.sampler, block=target.block)
    scores = target.score_pictures(np.stack([pixels for _, pixels in drawn]))
    return scores.reshape(len(prompts), pictures).mean(axis=1).tolist()


def draw_in_turn(target: Target, found: Sequence[tuple[str, str]], pictures: int) -> list[AttackPrompt]:
    """Return `pictures` pictures of adversarial prompts in turn. `found` holds each after its original prompt."""
    pairs = [found[i % len(found)] for i in range(pictures)]
    return [AttackPrompt(prompt, drawn, target.picture_seed(drawn, i)) for i, (prompt, drawn) in enumerate(pairs)]


def remember(path: Path | None, search: Callable[[], tuple[Any, list[float]]]) -> tuple[Any, list[float]]:
    """Return what a search found and its losses, from a file if an earlier run wrote it."""
    if path and path.exists():
        kept = read_json(path)
        return kept["found"], kept["losses"]
    found, losses = search()
    if path:
        write_json(path, {"found": found, "losses": losses})
    return found, losses


Observer = Callable[[int, float], None]
"""`observe(step, loss)`: called after every step of a search, counted from 0."""


def ignore_steps(step: int, loss: float) -> None:
    """Observe nothing."""


def search_in_turn(
    target: Target,
    originals: Sequence[str],
    prompts: int,
    search: Callable[[int, str, Observer], tuple[str, list[float]]],
    *,
    pictures: int,
    steps: int,
    work: Path | None,
    progress: Progress,
) -> Found:
    """Search `prompts` adversarial prompts for original prompts in turn, one after the other.

    Args:
        search: `search(number, original, observe)` returns an adversarial prompt and the loss of each step.
        pictures: pictures to draw of all that is found.
        steps: steps of one search, for the progress.
        work: folder for finished searches; None keeps none.
    """
    found: list[tuple[str, str]] = []
    losses: list[float] = []
    for number in range(prompts):
        original, done = originals[number % len(originals)], number * steps

        def observe(step: int, loss: float, done: int = done) -> None:
            progress(done + step + 1, prompts * steps, "searching prompts")

        adversarial, history = remember(
            work / f"{number}.json" if work else None, partial(search, number, original, observe)
        )
        found.append((original, adversarial))
        losses += history
    return Found(draw_in_turn(target, found, pictures), losses=losses)
