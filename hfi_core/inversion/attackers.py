"""The attackers of a safeguarded model: each inverts a token for a concept again (Pham et al. 2023; method, section 6).

Attackers of one concept differ only in their seeds.
"""

from dataclasses import dataclass
from pathlib import Path

from hfi_core.inversion.tokens import token_name
from hfi_core.params import Attack


@dataclass(frozen=True)
class Attacker:
    """An attacker that inverts a token for a concept. The first one is the same whatever the number of attackers."""

    concept: str
    number: int
    """From 1."""

    @property
    def name(self) -> str:
        """Name in curves and figures; the first attacker has the concept's own name."""
        return ".".join([self.concept, *map(str, self.seed_suffix)])

    @property
    def seed_suffix(self) -> tuple[int, ...]:
        """Suffix that makes this attacker's seeds differ from the first attacker's."""
        return () if self.number == 1 else (self.number,)

    @property
    def token(self) -> str:
        """Word that stands for the attacker's token in prompts."""
        return token_name(self.concept, "-".join(["reinverted", *map(str, self.seed_suffix)]))

    def folder(self, root: Path) -> Path:
        """Return the folder of the attacker's token below `attacks/ROW`."""
        return root / self.concept / str(self.number)


def list_attackers(attack: Attack, concept: str) -> list[Attacker]:
    """List the attackers of one concept."""
    return [Attacker(concept, 1 + i) for i in range(attack.attackers)]
