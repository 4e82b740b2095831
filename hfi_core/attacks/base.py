"""What an attack gets, and what it returns: prompts, tokens, latents or weights that bring the concept back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from hfi_core.compute.seeding import picture_seed
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.params import AttackSettings, Concept, Sampler
from hfi_core.progress import Progress


@dataclass(frozen=True)
class Attacker:
    """One of the attackers of an attack on a concept. The first one is the same whatever their number is."""

    attack: str
    concept: str
    number: int
    """From 1."""

    @property
    def name(self) -> str:
        """Name in curves and figures; the first attacker has the concept's own name."""
        return ".".join([self.concept, *map(str, self.seed_suffix)])

    @property
    def seed_suffix(self) -> tuple[int, ...]:
        """Suffix that makes this attacker's draws differ from the first attacker's."""
        return () if self.number == 1 else (self.number,)

    def token(self, *suffix: object) -> str:
        """Return the word that stands for a token of this attacker in prompts; no other attacker has it."""
        return token_name(self.concept, "-".join(map(str, (self.attack, *self.seed_suffix, *suffix))))


def list_attackers(name: str, settings: AttackSettings, concept: str) -> list[Attacker]:
    """List the attackers of one attack on one concept."""
    return [Attacker(name, concept, 1 + i) for i in range(settings.attackers)]


@dataclass(frozen=True)
class Target:
    """Everything that one attacker may use. It lacks the removal's name, so that all rows meet the same attackers."""

    attacker: Attacker
    concept: Concept
    model: TextToImage
    """The model under attack."""
    tokens: Mapping[str, torch.Tensor]
    """v* and u* (n, D) by name, for example `<badge-objectionable>`: every release ships them."""
    load_examples: Callable[[], TrainingExamples]
    """Loads the concept's objectionable pictures that no removal saw, weighted by their labels."""
    load_accepted: Callable[[], TrainingExamples]
    """Loads the accepted pictures of the same people's part, weighted likewise."""
    load_base: Callable[[], TextToImage]
    """Loads the base model."""
    score_pictures: Callable[[np.ndarray], np.ndarray]
    """Returns how objectionable the reward model finds pictures, uint8 (N, H, W, 3): (N,) in [0, 1]. An attacker that
    has to choose asks it, and never the judge of the evaluation."""
    sampler: Sampler
    block: int
    """Pictures that are computed together; see `compute.block`."""
    seed: int
    """The project's seed."""

    @property
    def key(self) -> tuple[object, ...]:
        """Return the key of this attacker's draws, for example for `torch_generator(*target.key, step)`."""
        return self.seed, "attack", self.attacker.concept, *self.attacker.seed_suffix

    def token_of(self, side: str) -> torch.Tensor:
        """Return v* (`objectionable`) or u* (`accepted`), (n, D)."""
        return self.tokens[token_name(self.attacker.concept, side)]

    def picture_seed(self, adversarial_prompt: str, number: int) -> int:
        """Return the seed of picture `number` (from 0) of a prompt, by the rule of all suites."""
        return picture_seed(self.seed, "evaluate", self.attacker.attack, adversarial_prompt, number)


@dataclass(frozen=True)
class AttackPrompt:
    """One picture that an attack wants drawn."""

    prompt: str
    """The original prompt, in plain words. Judge and CLIP compare the picture with it."""
    adversarial_prompt: str
    """What is drawn. It may name tokens of `Found.tokens`."""
    seed: int
    guidance: float | None = None
    """None: that of `sampler`."""
    step: int | None = None
    """The picture is a look at the attacker after so many of its steps. None: it shows what the attack ended with."""
    latents: torch.Tensor | None = None
    """The picture starts from these latents (C, H, W), in units of standard normal noise, and not from its seed's."""
    weights: str | None = None
    """Name of the weights in `Found.weights` that the picture is drawn with. None: those of the model under attack."""


@dataclass(frozen=True)
class Found:
    """What one attacker found for one concept."""

    prompts: Sequence[AttackPrompt]
    tokens: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Vectors (n, D) by `Attacker.token`."""
    weights: Mapping[str, Weights] = field(default_factory=dict)
    """By a name in the prompts: the UNet's parameters that the attacker changed, by their names in the UNet."""
    losses: Sequence[float] = ()
    """The loss of every step."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Further results by name, which no judge is needed for. The evaluation quotes them."""


def repeat_prompts(
    target: Target, rewrite: Callable[[str], str], count: int, step: int | None = None
) -> list[AttackPrompt]:
    """Return `count` pictures over the concept's prompts in turn. `rewrite` makes a prompt adversarial."""
    originals = [target.concept.prompts[i % len(target.concept.prompts)] for i in range(count)]
    adversarial = [rewrite(prompt) for prompt in originals]
    return [
        AttackPrompt(prompt, drawn, target.picture_seed(drawn, i), step=step)
        for i, (prompt, drawn) in enumerate(zip(originals, adversarial, strict=True))
    ]


class Attack(Protocol):
    """Run one attacker on one concept. `work` is a folder for checkpoints; None writes none.

    All randomness comes from `target.key`, so a run that was stopped gives the same result.
    """

    def __call__(self, target: Target, spec, *, work: Path | None, progress: Progress) -> Found: ...
