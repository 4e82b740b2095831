"""Ring-A-Bell (Tsai et al., ICLR 2024): prompts whose text states lie where a concept's direction leads.

Only the text encoder is needed: neither the network that draws nor any picture.
"""

from collections.abc import Sequence
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
from hfi_core.compute.seeding import numpy_generator
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.text_encoders import Vocabulary
from hfi_core.params import RingABell
from hfi_core.progress import Progress
from hfi_core.prompts import leave_out


def attack(target: Target, spec: RingABell, *, work: Path | None, progress: Progress) -> Found:
    """Move the concept's prompts in turn along the concept's direction, and find words for where they arrive."""
    model, concept, vocabulary = target.model, target.concept, target.model.text.vocabulary()
    pairs = spec.pairs or [(prompt, leave_out(prompt, concept.text)) for prompt in concept.prompts]
    direction = concept_direction(model, pairs, target.block)

    def search(number: int, original: str, observe: Observer) -> tuple[str, list[float]]:
        return evolve_prompt(
            model,
            encode_in_blocks(model, [original], 1)[0].float() + spec.strength * direction,
            vocabulary,
            tokens=spec.tokens,
            population=spec.population,
            generations=spec.generations,
            crossover=spec.crossover,
            mutation=spec.mutation,
            block=target.block,
            key=(*target.key, number),
            observe=observe,
        )

    return search_in_turn(
        target, concept.prompts, spec.prompts, search, pictures=spec.pictures, steps=spec.generations, work=work,
        progress=progress,
    )  # fmt: skip


def concept_direction(model: TextToImage, pairs: Sequence[tuple[str, str]], block: int) -> torch.Tensor:
    """Return the mean difference (L, D) of the states of prompts with a concept and without it (their eq. 5)."""
    with_it = encode_in_blocks(model, [prompt for prompt, _ in pairs], block)
    without = encode_in_blocks(model, [prompt for _, prompt in pairs], block)
    return (with_it - without).float().mean(dim=0)


def evolve_prompt(
    model: TextToImage,
    target: torch.Tensor,
    vocabulary: Vocabulary,
    *,
    tokens: int,
    population: int,
    generations: int,
    crossover: float,
    mutation: float,
    block: int,
    key: tuple[object, ...],
    observe: Observer = ignore_steps,
) -> tuple[str, list[float]]:
    """Find words whose states are near to a target (L, D), by a genetic algorithm (their section 3.2 and appendix).

    In every generation the better half lives on. In all but the last, each of it gets two children with probability
    `crossover`, which exchange what follows one point with a random one of that half, and then each of all changes one
    word with probability `mutation`.

    Args:
        tokens: number of words.
        key: names the random draws.
        observe: called after every generation, with the smallest squared distance.

    Returns the best prompt, and the smallest squared distance of every generation (generations,).

    Raises UserError if the text encoder does not read as many tokens, or if the vocabulary is too small.
    """
    require_words(vocabulary, "ring-a-bell", 2)
    require_room(model, "ring-a-bell", tokens)
    luck = numpy_generator(*key)
    known: dict[tuple[int, ...], float] = {}

    def measure(people: list[list[int]]) -> list[float]:
        new = list(dict.fromkeys(rows for rows in map(tuple, people) if rows not in known))
        if new:
            states = encode_in_blocks(model, [join_words(vocabulary, rows) for rows in new], block)
            distances = (states.float() - target).square().sum(dim=(1, 2))
            known.update(zip(new, distances.tolist(), strict=True))
        return [known[tuple(rows)] for rows in people]

    size = len(vocabulary.words)
    people = luck.integers(size, size=(population, tokens)).tolist()
    history = []
    for generation in range(generations):
        distances = measure(people)
        order = sorted(range(len(people)), key=distances.__getitem__)
        people = [people[i] for i in order[: population // 2]]
        history.append(distances[order[0]])
        observe(generation, history[-1])
        if generation < generations - 1:
            known = {tuple(rows): known[tuple(rows)] for rows in people}
            people = _mutate(_cross(people, crossover, luck), mutation, size, luck)
    return join_words(vocabulary, people[0]), history


def _cross(people: list[list[int]], rate: float, luck) -> list[list[int]]:
    grown = []
    for rows in people:
        grown.append(list(rows))
        if luck.random() < rate:
            other, point = people[luck.integers(len(people))], int(luck.integers(len(rows)))
            grown += [rows[:point] + other[point:], other[:point] + rows[point:]]
    return grown


def _mutate(people: list[list[int]], rate: float, size: int, luck) -> list[list[int]]:
    for rows in people:
        if luck.random() < rate:
            place = luck.integers(len(rows))
            rows[place] = int(luck.integers(size))
    return people
