"""Who attacks a row: attackers of each concept, who differ in their seeds alone (method, 6)."""

from dataclasses import dataclass
from pathlib import Path

from hfi_core.inversion.tokens import token_name
from hfi_core.params import Params


@dataclass(frozen=True)
class Attacker:
    """One of those who invert a token for a concept on a row's model; the first is the same however many there are."""

    concept: str
    number: int
    """From 1."""

    @property
    def name(self) -> str:
        """What he is called in curves and figures: the first by his concept."""
        return ".".join([self.concept, *map(str, self.luck)])

    @property
    def luck(self) -> tuple[int, ...]:
        """What his seeds have beside those of the first."""
        return () if self.number == 1 else (self.number,)

    @property
    def token(self) -> str:
        """The word that stands for his token in prompts."""
        return token_name(self.concept, "-".join(["reinverted", *map(str, self.luck)]))

    def folder(self, root: Path) -> Path:
        """Where his token lies below a row's attacks."""
        return root / self.concept / str(self.number)


def attackers_of(params: Params, concept: str) -> list[Attacker]:
    """All who attack a row for one concept."""
    return [Attacker(concept, 1 + i) for i in range(params.attack.attackers)]
