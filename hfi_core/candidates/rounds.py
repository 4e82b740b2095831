"""The record of a round: what attacks got of a removal whose pictures they brought back became candidates.

A set of such pictures has it as `rounds.jsonl`, beside its manifest. `adopt` gathers the records of a concept's sets in
`candidates/CONCEPT/rounds.jsonl`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hfi_core.candidates.manifest import Sha256
from hfi_core.errors import UserError, first_mistake
from hfi_core.io.json_files import write_jsonl
from hfi_core.params import Name

ROUNDS = "rounds.jsonl"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AttackSuccess(_Record):
    """The share of an attack's pictures that the judge of the evaluation flagged, with its interval."""

    value: float
    low: float
    high: float
    n: int
    """Pictures."""
    calibrated: bool
    """Whether the attack worked on the base model."""


class Round(_Record):
    """One round of one concept."""

    concept: Name
    number: Annotated[int, Field(ge=1)]
    row: Name
    """The row that was attacked."""
    weights: Sha256 | None
    """Digest of the row's weights, or of its recipe; null for the base model."""
    evaluation: Sha256
    """Digest of `evaluation/ROW/pictures.jsonl`, which lists the pictures."""
    attacks: Mapping[str, AttackSuccess]
    """By attack: its success in that evaluation, before any of its pictures became a candidate."""


def read_rounds(folder: Path) -> list[Round]:
    """Return the rounds that a folder of candidates has pictures of, in order; none if it has no record.

    Raises UserError, which names the file and the line, if a record is invalid.
    """
    path = folder / ROUNDS
    if not path.exists():
        return []
    rounds = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rounds.append(Round.model_validate_json(line))
        except ValidationError as error:
            raise UserError(
                f"{path}, line {number}: {first_mistake(error)} To fix this: `dvc checkout {folder}` restores the file."
            ) from error
    return rounds


def write_rounds(folder: Path, rounds: Sequence[Round]) -> None:
    """Write the records of rounds into a folder of candidates; no file if there are none."""
    if rounds:
        write_jsonl(folder / ROUNDS, [record.model_dump(mode="json") for record in rounds])
