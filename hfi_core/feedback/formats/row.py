"""What every format's reader yields, and how a file that is not ours is to be read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement

FIELDS = tuple(dict.fromkeys([*BinaryJudgement.model_fields, *RankingJudgement.model_fields]))
"""Every field of the feedback format."""

RATING = "rating"
"""What a row may have in the place of an answer: a number, to which the options give a meaning."""


@dataclass(frozen=True, slots=True)
class Row:
    """One judgement as the file has it: fields of the feedback format, before pictures and people are looked up."""

    where: str
    """`line 7`, or `task 12, annotation 3`."""
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is no judgement; the whole file is refused for it."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that says nothing on purpose, such as a task that was skipped."""

    where: str


@dataclass(frozen=True)
class ReadOptions:
    """The options with which a file is read. Equal options and equal bytes are the same import."""

    concept: str | None = None
    """The concept of rows that name none."""
    annotator: str | None = None
    """The annotator of rows that name nobody."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column (in Label Studio: key of the task's data) by field of the feedback format."""
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    cant_tell: tuple[str, ...] = ()
    rating_yes: float | None = None
    """Ratings from here up are yes."""
    rating_no: float | None = None
    """Ratings up to here are no; those between are can't tell."""
    control: str | None = None
    """Label Studio: the control whose result counts."""
    buckets: tuple[str, ...] = ()
    """Label Studio's Ranker: the names of its buckets, the strongest first; those left out do not apply."""

    def plain(self) -> dict[str, Any]:
        """The options as plain JSON values."""
        return asdict(self) | {"columns": dict(self.columns)}
