"""MMA-Diffusion's attack on text (Yang et al., CVPR 2024, section 3.2): harmless words with a prompt's meaning.

Only the text encoder is needed: neither the network that draws nor any picture.
"""

from pathlib import Path

import torch

from hfi_core.attacks.adversarial_words import (
    Observer,
    encode_in_blocks,
    ignore_steps,
    join_words,
    require_room,
    require_words,
    search_in_turn,
)
from hfi_core.attacks.base import Found, Target
from hfi_core.compute.seeding import torch_generator
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.text_encoders import Vocabulary
from hfi_core.params import MMA
from hfi_core.progress import Progress

_NAME = "<mma>"


def attack(target: Target, spec: MMA, *, work: Path | None, progress: Progress) -> Found:
    """Imitate prompts in turn, by words that do not contain the concept's own, nor any other excluded one."""
    model, concept = target.model, target.concept
    vocabulary = model.text.vocabulary().without([*concept.text.split(), *spec.excluded])

    def search(number: int, original: str, observe: Observer) -> tuple[str, list[float]]:
        return imitate_prompt(
            model,
            end_state(model, original),
            vocabulary,
            tokens=spec.tokens,
            steps=spec.steps,
            topk=spec.topk,
            candidates=spec.candidates,
            block=target.block,
            key=(*target.key, number),
            observe=observe,
        )

    return search_in_turn(
        target, spec.targets or concept.prompts, spec.prompts, search, pictures=spec.pictures, steps=spec.steps,
        work=work, progress=progress,
    )  # fmt: skip


def end_state(model: TextToImage, prompt: str) -> torch.Tensor:
    """Return the state (D,) at a prompt's end token, which sums the prompt up: CLIP pools there."""
    with torch.no_grad():
        return model.encode([prompt])[0, 1 + min(model.text.count_tokens(prompt), model.text.max_tokens)].float()


def imitate_prompt(
    model: TextToImage,
    target: torch.Tensor,
    vocabulary: Vocabulary,
    *,
    tokens: int,
    steps: int,
    topk: int,
    candidates: int,
    block: int,
    key: tuple[object, ...],
    observe: Observer = ignore_steps,
) -> tuple[str, list[float]]:
    """Find words whose state at the end points where a target (D,) does, by greedy coordinate gradient.

    In every step, the gradient of 1 - cos to the one-hot words names the `topk` best swaps for each place. `candidates`
    prompts with one swap each, at places that are spread evenly, are encoded, and the best one is the next prompt.

    Args:
        vocabulary: the words to choose from, without those that a word filter would refuse.
        tokens: number of words.
        key: names the random draws.
        observe: called after every step.

    Returns the best prompt of all steps, and the loss of the chosen candidate of every step (steps,).

    Raises UserError if the text encoder does not read as many tokens, or if the vocabulary is too small.
    """
    require_words(vocabulary, "mma", max(topk, 2))
    require_room(model, "mma", tokens)
    size, generator = len(vocabulary.words), torch_generator(*key)
    words = torch.randint(size, (tokens,), generator=generator)
    places = torch.arange(candidates) * tokens // candidates
    history, best = [], (float("inf"), "")
    for step in range(steps):
        one_hot = torch.nn.functional.one_hot(words, size).float().to(model.device).requires_grad_()
        condition = model.encode([_NAME], {_NAME: one_hot @ vocabulary.embeddings})
        _distances(condition[:, 1 + tokens], target).sum().backward()
        assert one_hot.grad is not None
        swaps = (-one_hot.grad).topk(topk, dim=1).indices.cpu()
        picked = torch.randint(topk, (candidates,), generator=generator)
        proposed = words.repeat(candidates, 1)
        proposed[torch.arange(candidates), places] = swaps[places, picked]
        prompts = [join_words(vocabulary, rows) for rows in proposed.tolist()]
        losses = _distances(encode_in_blocks(model, prompts, block)[:, 1 + tokens], target)
        winner = int(losses.argmin())
        words = proposed[winner]
        history.append(float(losses[winner]))
        best = min(best, (history[-1], prompts[winner]))
        observe(step, history[-1])
    return best[1], history


def _distances(states: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return 1 - cos (N,) of states (N, D) and a target (D,)."""
    return 1 - torch.nn.functional.cosine_similarity(states.float(), target.unsqueeze(0), dim=1)
