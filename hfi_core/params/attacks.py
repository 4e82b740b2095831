"""Params of the attacks, which try to bring the removed concept back."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, StringConstraints, field_validator, model_validator

from hfi_core.params.plugin_union import validate_registered
from hfi_core.params.values import Frozen, Prompt
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


class Reinversion(AttackSettings):
    """Concept inversion on the safeguarded model (Pham et al. 2023): a new token, from pictures no removal saw."""

    kind: Literal["reinversion"]
    start: Start
    beside: bool
    """Whether the token stands beside the concept's word ("a red badge X") and not in its place ("a red X")."""
    vectors: int = Field(ge=1, le=16)
    steps: int = Field(ge=1, le=1_000_000)
    batch: int = Field(ge=1, le=1024)
    rate: float = Field(gt=0, le=10)
    noisiest: Annotated[float, Field(gt=0, le=1)]
    """As in `invert`."""
    looks: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), max_length=20, exclude_if=lambda looks: not looks
    )
    """Steps after which the token is drawn, too, in ascending order: the curve over the attacker's steps."""

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


class RegisteredAttack(AttackSettings):
    """An attack of another package, an entry point in `hfi.attacks`: its settings, and how it attacks."""

    @abstractmethod
    def attack(self, target: Any, *, work: Any, progress: Any) -> Any:
        """Return what one attacker finds for one concept, a `hfi_core.attacks.base.Found`; see `Attack` there."""


_BuiltIn = Reinversion
BUILT_IN_KINDS = frozenset(
    get_args(kind.model_fields["kind"].annotation)[0] for kind in (get_args(_BuiltIn) or (_BuiltIn,))
)

if TYPE_CHECKING:
    Attack = _BuiltIn | RegisteredAttack
else:  # the validator decides between the two; a schema for editors knows ours only
    Attack = Annotated[
        # With one kind, pydantic refuses a discriminator.
        Annotated[_BuiltIn, Field(discriminator="kind")] if get_args(_BuiltIn) else _BuiltIn,
        *validate_registered(RegisteredAttack, "kind", BUILT_IN_KINDS, find_attacks, "attack"),
    ]
