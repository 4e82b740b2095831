"""A judgement as a row: its canonical line, and the question that it answers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hfi_core.feedback.schema import Judgement, dump_judgement


def format_line(judgement: Judgement) -> str:
    """The judgement's one line in a feedback file: keys sorted, times in UTC."""
    times = {
        key: _in_utc(value) for key in ("shown_at", "answered_at") if (value := getattr(judgement, key)) is not None
    }
    row = dump_judgement(judgement.model_copy(update=times) if times else judgement)
    return json.dumps(row, sort_keys=True, allow_nan=False, ensure_ascii=False)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # in the first or last hours that a calendar has
        return moment


@dataclass(frozen=True)
class Entry:
    """A judgement made ready to be kept."""

    id: str
    annotator: str
    concept: str
    question: str
    """Equal for two judgements exactly if one can correct the other: digest of annotator, concept, kind, and pictures
    with their own digests, since a redrawn picture is another question."""
    supersedes: str | None
    content: str
    """The canonical line."""
    seen: Mapping[str, str | None]
    """The pictures' digests by id; None where nobody noted it."""

    @property
    def values(self) -> dict[str, Any]:
        """The row of the table `judgement`, but for its batch."""
        return {
            "id": self.id,
            "annotator": self.annotator,
            "concept": self.concept,
            "question": self.question,
            "supersedes": self.supersedes,
            "content": self.content,
        }


def make_entry(judgement: Judgement) -> Entry:
    """Make a judgement ready."""
    pictures = sorted(
        picture if digest is None else f"{picture}:{digest}" for picture, digest in judgement.picture_digests.items()
    )
    asked = "\0".join([judgement.annotator, judgement.concept, judgement.kind, *pictures])
    return Entry(
        judgement.id, judgement.annotator, judgement.concept, hashlib.sha256(asked.encode()).hexdigest(),
        judgement.supersedes, format_line(judgement), judgement.picture_digests,
    )  # fmt: skip
