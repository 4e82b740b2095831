"""Params of the attacks, which try to bring the removed concept back."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from hfi_core.params.plugin_union import validate_registered
from hfi_core.params.prompt_files import read_prompt_pairs
from hfi_core.params.training import Contrast, require_room_for_both_sides
from hfi_core.params.values import Frozen, OptionalPrompts, Prompt, Prompts, RelativePath, Share
from hfi_core.plugins import find_attacks

WORST = "worst_attack"
"""The suite of the attack that gets the most flagged pictures of a row. It has an underscore, as no attack's name."""

AttackName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
_TAKEN = frozenset({"broad", "precise", "neighbours", "unrelated", "objectionable", "accepted"})
"""Names of suites and of tokens."""

ActsOn = Literal["condition", "latents", "weights"]


def require_free_name(name: str) -> str:
    """Return the name of an attack. Raises ValueError if a suite or a token has this name."""
    if name in _TAKEN:
        raise ValueError(f"an attack cannot be called {name!r}, because a suite or a token has this name")
    return name


class AttackSettings(Frozen):
    """What every attack has."""

    acts_on: ClassVar[ActsOn] = "condition"
    """What an attacker changes: the text condition, by words or soft tokens; the latents that a picture starts from; or
    the model's weights. Only attacks on the condition count for the worst attack of a row."""
    has_originals: ClassVar[bool] = False
    """Whether each of its prompts stands for an original prompt. The original is drawn, too, at the same seed: the
    share flagged without and with the attack are pre-ASR and ASR (Zhang et al. 2024)."""

    kind: str
    pictures: int = Field(ge=1, le=10_000)
    """Pictures that are drawn of what each attacker finds, per concept."""
    attackers: int = Field(default=1, ge=1, le=100)
    """Number of attackers, which differ in their seeds only. With several, intervals are over attackers."""

    @property
    def pictures_of_attacker(self) -> int:
        """Return how many pictures are drawn of one row for one attacker and concept.

        An attack with `looks`, steps of the attacker after which pictures are drawn, too, has as many more for each.
        """
        return self.pictures * (1 + len(getattr(self, "looks", ())) + self.has_originals)


class Start(Frozen):
    """What the vectors of an attacker start from: a word, or a token that every release ships. Give one of the two."""

    word: Prompt | None = Field(default=None, exclude_if=lambda word: word is None)
    token: Literal["objectionable", "accepted"] | None = Field(default=None, exclude_if=lambda token: token is None)
    """`objectionable` is v*; `accepted` is u*."""

    @model_validator(mode="after")
    def _one(self):
        if (self.word is None) == (self.token is None):
            raise ValueError(
                "a start has either word or token, for example `{word: shield}` or `{token: objectionable}`"
            )
        return self


class TrainedAttack(AttackSettings):
    """An attack that learns in steps of gradient descent, and can be looked at on the way."""

    steps: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=1024)
    """Pictures per step."""
    rate: float = Field(gt=0, le=10)
    """AdamW's learning rate at the start; it falls to 0."""
    looks: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), max_length=20, exclude_if=lambda looks: not looks
    )
    """Steps after which pictures are drawn, too, in ascending order: the curve over the attacker's steps."""

    @field_validator("looks")
    @classmethod
    def _ascending(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if list(looks) != sorted(set(looks)):
            raise ValueError("looks must ascend, each step once")
        return looks

    @model_validator(mode="after")
    def _looks_before_the_end(self):
        if self.looks and self.looks[-1] >= self.steps:
            raise ValueError(
                f"looks names step {self.looks[-1]}, and the attack has {self.steps} steps. To fix this: name earlier "
                "steps only, because the end is drawn anyway"
            )
        return self


class Reinversion(TrainedAttack):
    """Concept inversion on the safeguarded model (Pham et al. 2023): a new token, from pictures no removal saw."""

    kind: Literal["reinversion"]
    start: Start
    beside: bool
    """Whether the token stands beside the concept's word ("a red badge X") and not in its place ("a red X")."""
    vectors: int = Field(ge=1, le=16)
    noisiest: Annotated[float, Field(gt=0, le=1)]
    """As in `invert`."""
    contrast: Contrast = 0.0
    """As in `invert`: how strongly the token is moved away from held-out pictures that people accept."""

    @model_validator(mode="after")
    def _room_for_both_sides(self):
        require_room_for_both_sides(self.contrast, self.batch)
        return self


class _PromptSearch(AttackSettings):
    has_originals: ClassVar[bool] = True

    prompts: int = Field(ge=1, le=10_000)
    """Adversarial prompts that each attacker searches, per concept. `pictures` are drawn of them in turn."""
    tokens: int = Field(ge=1, le=75)
    """K: words that are searched, each of one token."""


class UnlearnDiff(_PromptSearch):
    """UnlearnDiffAtk (Zhang et al. 2024), or P4D (Chin et al. 2024): words before a prompt, by gradients."""

    kind: Literal["unlearndiff"]
    loss: Literal["unlearndiff", "p4d"]
    """`unlearndiff`: the model has to denoise a held-out picture; `p4d`: its noise has to match that of the base."""
    timesteps: int = Field(ge=1, le=1000)
    """Timesteps, evenly over the schedule, at each of which the words learn in turn."""
    steps: int = Field(ge=1, le=10_000)
    """Gradient steps at each of the timesteps."""
    rate: float = Field(gt=0, le=10)
    """Adam's learning rate."""
    weight_decay: float = Field(ge=0, le=10)
    check: int = Field(ge=1, le=1000)
    """Pictures of each candidate (one a timestep) that the reward model scores, to choose one."""
    batch: int = Field(ge=1, le=1024)
    """Prompts that are searched side by side."""


class RingABell(_PromptSearch):
    """Ring-A-Bell (Tsai et al. 2024): prompts whose text states lie in a concept's direction, by a genetic search."""

    kind: Literal["ring-a-bell"]
    pairs: tuple[tuple[Prompt, Annotated[str, Field(max_length=500)]], ...] = ()
    """Pairs of prompts, with the concept and without it, whose mean difference is the direction. By default, the
    concept's prompts, with and without its text."""
    strength: float = Field(gt=0, le=100)
    """eta: how far to go in this direction."""
    population: int = Field(ge=2, le=100_000)
    generations: int = Field(ge=1, le=1_000_000)
    crossover: Share
    """Probability that a prompt gets two children in a generation."""
    mutation: Share
    """Probability that one word of a prompt changes in a generation."""


class MMA(_PromptSearch):
    """The attack on text of MMA-Diffusion (Yang et al. 2024): harmless words with the meaning of a prompt."""

    kind: Literal["mma"]
    targets: OptionalPrompts = ()
    """Prompts to imitate. By default those of the concept."""
    excluded: OptionalPrompts = ()
    """What no word may contain, besides the words of the concept's text: what a word filter would refuse."""
    steps: int = Field(ge=1, le=1_000_000)
    topk: int = Field(ge=1, le=100_000)
    """Best swaps by gradient, for each place, that candidates are drawn from."""
    candidates: int = Field(ge=1, le=100_000)
    """Prompts with one swap each that are tried per step."""


class ParaphrasedPrompt(Frozen):
    """A prompt, and another that means the same."""

    prompt: Prompt
    """It contains the text of the concept that is attacked."""
    adversarial_prompt: Prompt


def _need_no_prompts(schema: dict[str, Any]) -> None:
    schema["required"].remove("prompts")


class Paraphrase(AttackSettings):
    """Prompts that somebody wrote or another attack found: misspellings, synonyms, other languages."""

    model_config = ConfigDict(json_schema_extra=_need_no_prompts)
    has_originals: ClassVar[bool] = True

    kind: Literal["paraphrase"]
    prompts: Annotated[tuple[ParaphrasedPrompt, ...], Field(min_length=1, max_length=10_000)]
    """The prompts. With `file`, those of the file. `pictures` are drawn of them in turn."""
    # Not in a dump, like that of a suite.
    file: RelativePath | SkipJsonSchema[None] = Field(default=None, exclude=True)
    """CSV file with the columns `prompt` and `adversarial_prompt`, relative to `params.yaml`; others are not read."""

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, raw: Any, info: ValidationInfo) -> Any:
        if not isinstance(raw, dict) or "file" not in raw:
            return raw
        if "prompts" in raw:
            raise ValueError("a paraphrase has either prompts or file, not both. To fix this: remove one of them")
        if not isinstance(raw["file"], str):
            raise ValueError("file must be the path of a CSV file with the columns prompt and adversarial_prompt")
        folder = (info.context or {}).get("folder", Path())
        return raw | {"prompts": read_prompt_pairs(folder, raw["file"])}


class Relearning(TrainedAttack):
    """Relearning by a LoRA (Polowczyk et al. 2025): the weights are trained again on a few held-out pictures."""

    acts_on: ClassVar[ActsOn] = "weights"

    kind: Literal["relearning"]
    examples: int = Field(ge=1, le=10_000)
    """k: held-out pictures that it learns from, those that people object to most."""
    rank: int = Field(ge=1, le=1024)
    """Rank of the LoRA, which changes the matrices of attention."""
    weight_decay: float = Field(ge=0, le=10)


class LatentInversion(AttackSettings):
    """Inversion of held-out pictures to the noise that draws them (Rusanovsky et al. 2025; Samuel et al. 2023).

    `pictures` held-out pictures are inverted, those that people object to most, and each is drawn once.
    """

    acts_on: ClassVar[ActsOn] = "latents"

    kind: Literal["latent_inversion"]
    steps: int = Field(ge=1, le=1000)
    """DDIM steps."""
    iterations: int = Field(ge=2, le=100)
    """Newton-Raphson iterations at each step; with one it would be plain DDIM inversion."""
    regularization: float = Field(ge=0, le=1000)
    """lambda: weight of the prior."""
    unrelated: Prompts
    """Prompts of the pictures to compare with. The base draws them."""
    references: int = Field(ge=2, le=10_000)
    """Number of pictures to compare with."""


class RegisteredAttack(AttackSettings):
    """An attack of another package, an entry point in `hfi.attacks`: its settings, and how it attacks."""

    @abstractmethod
    def attack(self, target: Any, *, work: Any, progress: Any) -> Any:
        """Return what one attacker finds for one concept, a `hfi_core.attacks.base.Found`; see `Attack` there."""


_BuiltIn = Reinversion | UnlearnDiff | RingABell | MMA | Paraphrase | Relearning | LatentInversion
BUILT_IN_KINDS = frozenset(get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(_BuiltIn))

if TYPE_CHECKING:
    Attack = _BuiltIn | RegisteredAttack
else:  # the validator decides between the two; a schema for editors knows ours only
    Attack = Annotated[
        Annotated[_BuiltIn, Field(discriminator="kind")],
        *validate_registered(RegisteredAttack, "kind", BUILT_IN_KINDS, find_attacks, "attack"),
    ]
