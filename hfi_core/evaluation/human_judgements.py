"""Read what people said about pictures of the evaluation, and take each picture's majority. Does not import torch.

A line of the file is one person's answer about one picture of one row. People did not know the row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hfi_core.candidates.manifest import Sha256
from hfi_core.errors import UserError, first_mistake
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.feedback.schema import Annotator, Answer
from hfi_core.params import Name


class HumanJudgement(BaseModel):
    """One person's answer about one picture of one row."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    row: Name
    suite: Name
    index: Annotated[int, Field(ge=0)]
    """Number of the picture in its suite."""
    sha256: Sha256
    """Digest of the picture file that was shown."""
    annotator: Annotator
    answer: Answer
    """`yes` (objectionable), `no` (accepted), or `cant_tell`, which is not a vote."""
    simulated: bool = False
    """Whether a program answered, not a person."""


@dataclass(frozen=True)
class Tally:
    """The votes on the judged pictures of one row and suite."""

    indices: np.ndarray
    """Numbers of the pictures in the suite (N,), ascending."""
    votes: np.ndarray
    """Yes and no of each picture (N, 2)."""

    @property
    def majority(self) -> np.ndarray:
        """1 where more people say yes than no, -1 where more say no, 0 where there is no majority: ints (N,)."""
        return np.sign(self.votes[:, 0] - self.votes[:, 1])


@dataclass(frozen=True)
class HumanJudgements:
    """All answers. Every row has answers on the same pictures of its suites."""

    path: Path
    judgements: Sequence[HumanJudgement]

    @cached_property
    def tallies(self) -> dict[str, dict[str, Tally]]:
        """The tally of each row and suite."""
        counts: dict[str, dict[str, dict[int, list[int]]]] = {}
        for one in self.judgements:
            votes = counts.setdefault(one.row, {}).setdefault(one.suite, {}).setdefault(one.index, [0, 0])
            votes[0] += one.answer == "yes"
            votes[1] += one.answer == "no"
        return {
            row: {
                suite: Tally(np.array(sorted(of_suite)), np.array([of_suite[index] for index in sorted(of_suite)]))
                for suite, of_suite in suites.items()
            }
            for row, suites in counts.items()
        }

    @cached_property
    def votes_by_picture(self) -> np.ndarray:
        """Yes and no (N, 2) of each picture. One that several rows share counts once: it was judged once."""
        votes: dict[str, tuple[str, str, int, list[int]]] = {}
        for one in self.judgements:
            first = votes.setdefault(one.sha256, (one.row, one.suite, one.index, [0, 0]))
            if first[:3] == (one.row, one.suite, one.index):
                first[3][0] += one.answer == "yes"
                first[3][1] += one.answer == "no"
        return np.array([counts for *_, counts in votes.values()])


def read_human_judgements(path: Path, variants: Iterable[EvaluatedVariant]) -> HumanJudgements:
    """Read the judgements about rows of an evaluation.

    Raises UserError with file, line and remedy if a line is wrong or stands twice, if rows were not judged on the same
    pictures, or if a row's picture is not the one that people saw.
    """
    digests = {
        variant.name: {(record["suite"], record["index"]): record["sha256"] for record in variant.records}
        for variant in variants
    }
    found: dict[tuple[str, str, int, str], int] = {}
    judgements = []
    for number, judgement in read_lines(path, HumanJudgement):
        key = (judgement.row, judgement.suite, judgement.index, judgement.annotator)
        if key in found:
            raise UserError(
                f"{path}, line {number}: {judgement.annotator!r} answers the question of line {found[key]} again.\n"
                "  To fix this: remove one of the lines."
            )
        found[key] = number
        _require_present_picture(path, number, judgement, digests)
        judgements.append(judgement)
    pictures = {row: {(row_key[1], row_key[2]) for row_key in found if row_key[0] == row} for row, *_ in found}
    if "base" not in pictures:
        raise UserError(f"{path} has no judgement on the row base, which others are compared with.{_COLLECT}")
    if other := [row for row, judged in pictures.items() if judged != pictures["base"]]:
        raise UserError(f"{path}: people judged other pictures of the row {other[0]} than of base.{_COLLECT}")
    return HumanJudgements(path, judgements)


Line = TypeVar("Line", bound=BaseModel)


def read_lines(path: Path, kind: type[Line]) -> list[tuple[int, Line]]:
    """Return the number and the content of each line of a JSON Lines file.

    Raises UserError, which names file and line, if the file is missing or a line is wrong.
    """
    lines = []
    try:
        with path.open(encoding="utf-8") as stream:
            for number, text in enumerate(stream, start=1):
                lines.append((number, kind.model_validate_json(text)))
    except ValidationError as error:
        raise UserError(f"{path}, line {number}: {first_mistake(error)}.{_BRING_BACK}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.{_BRING_BACK}") from error
    return lines


_BRING_BACK = "\n  To fix this: bring back the file that `hfi human-evaluation` wrote (`dvc pull`, `git checkout`)."
_COLLECT = "\n  To fix this: `hfi human-evaluation collect NAME` writes the file again."


def _require_present_picture(
    path: Path, number: int, judgement: HumanJudgement, digests: dict[str, dict[tuple[str, int], str]]
) -> None:
    picture = f"picture {judgement.index} of the suite {judgement.suite}, row {judgement.row}"
    if judgement.row not in digests:
        mistake = f"people judged the row {judgement.row}, which params.yaml does not have"
    elif (present := digests[judgement.row].get((judgement.suite, judgement.index))) is None:
        mistake = f"people judged {picture}, which is no longer drawn"
    elif present != judgement.sha256:
        mistake = f"people judged another {picture}: it was drawn again since"
    else:
        return
    raise UserError(
        f"{path}, line {number}: {mistake}.\n"
        "  To fix this: remove evaluate.people from params.yaml and run `hfi run`. Then have the present pictures "
        "judged: `hfi human-evaluation create NAME`."
    )
