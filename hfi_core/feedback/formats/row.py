"""The rows that every format's reader yields, and the options with which it reads a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement

FIELDS = tuple(dict.fromkeys([*BinaryJudgement.model_fields, *RankingJudgement.model_fields]))
"""Every field of the feedback format."""

RATING = "rating"
"""Field that a row may have instead of an answer: a number, whose meaning the options define."""


NO_ANSWER = "without an answer"
REVIEW_REJECTED = "rejected by a reviewer"
GROUND_TRUTH = "marked as ground truth, which only --ground-truth counts"


@dataclass(frozen=True, slots=True)
class Row:
    """One judgement as in the file: fields of the feedback format, with the file's own pictures and names."""

    location: str
    """`line 7`, or `task 12, annotation 3`."""
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not a judgement. It makes the whole file unacceptable."""

    location: str
    reason: str


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row without an answer that counts, such as a task that the annotator skipped."""

    location: str
    reason: str = NO_ANSWER
    detail: str = ""
    """What the row has instead, for the message about a file of which no row counts."""


@dataclass(frozen=True)
class ReadOptions:
    """The options with which a file is read. The same bytes with the same options are the same import.

    The names of the fields are part of the import's key in the store, so they have to stay.
    """

    concept: str | None = None
    """The concept of rows without one."""
    annotator: str | None = None
    """The annotator of rows without one."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column (in Label Studio: key of the task's data) by field of the feedback format."""
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    cant_tell: tuple[str, ...] = ()
    rating_yes: float | None = None
    """The lowest rating that means yes."""
    rating_no: float | None = None
    """The highest rating that means no; ratings between the two mean can't tell."""
    control: str | None = None
    """Label Studio: the control whose result counts."""
    buckets: tuple[str, ...] = ()
    """Label Studio's Ranker: the names of its buckets, the strongest first. Pictures in other buckets do not apply."""
    timezone: str | None = None
    """The zone of times that name none."""
    ground_truth: bool = False
    """Label Studio: whether annotations that are marked as ground truth count as their annotators' answers."""
    delimiter: str | None = None
    """CSV: the character between cells. Without it, the header decides."""
    quoting: str | None = None
    """CSV and TSV: `double` if quotation marks enclose cells, `none` if they are text."""
    skip_empty: bool = False
    """Whether rows without an answer are skipped, not rejected."""
    time_formats: tuple[str, ...] = ()
    """How times are written that could mean several: `excel`, `unix`, `day-first`, ..., or patterns of strptime."""

    def plain(self) -> dict[str, Any]:
        """Return the options as plain JSON values. Later additions only appear where they are set, so keys last."""
        added = {name: value for name in _ADDED if (value := getattr(self, name)) != _DEFAULTS[name]}
        always = {name: value for name, value in asdict(self).items() if name not in _ADDED}
        return always | added | {"columns": dict(self.columns)}


_ADDED = ("timezone", "time_formats", "ground_truth", "delimiter", "quoting", "skip_empty")
_DEFAULTS = {field.name: field.default for field in fields(ReadOptions)}
