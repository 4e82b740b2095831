"""A judgement as a row: its canonical line, and the question that it answers."""

import json
from datetime import UTC
from typing import Any

from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, parse_judgement, row_of
from hfi_core.files import sha256_of_json

Judgement = BinaryJudgement | RankingJudgement


def line_of(judgement: Judgement) -> str:
    """The judgement's one line in a feedback file: keys sorted, times in UTC."""
    times = {
        key: value.astimezone(UTC)
        for key in ("shown_at", "answered_at")
        if (value := getattr(judgement, key)) is not None
    }
    row = row_of(judgement.model_copy(update=times))
    return json.dumps(row, sort_keys=True, allow_nan=False, ensure_ascii=False)


def judgement_of(line: str) -> Judgement:
    """The judgement in a stored line."""
    return parse_judgement(line)


def pictures_of(judgement: Judgement) -> tuple[str, ...]:
    """Every picture that was shown."""
    return (judgement.picture,) if isinstance(judgement, BinaryJudgement) else judgement.pictures


def question_of(judgement: Judgement) -> str:
    """Equal for two judgements exactly if one can correct the other: annotator, concept, kind and pictures."""
    pictures = sorted(pictures_of(judgement))
    return sha256_of_json([judgement.annotator, judgement.concept, judgement.kind, pictures])


def values_of(judgement: Judgement, batch: int | None) -> dict[str, Any]:
    """The row of the table `judgement`."""
    return {
        "id": judgement.id,
        "annotator": judgement.annotator,
        "concept": judgement.concept,
        "question": question_of(judgement),
        "supersedes": judgement.supersedes,
        "content": line_of(judgement),
        "batch": batch,
        "snapshot": None,
    }
