"""Label Studio's JSON export: tasks with their annotations.

What a Label Studio annotation has no place for (our id, `supersedes`, the pseudonym) lies in its result's
`meta.hfi`, which Label Studio keeps.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from hfi_core.feedback.formats import json_array
from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.grouping import PictureAddress, group_by_question
from hfi_core.feedback.formats.label_studio.results import (
    ANSWER,
    JUDGING_KEYS,
    NOTE,
    RANK,
    make_ranker_value,
    parse_concept,
    parse_result,
)
from hfi_core.feedback.formats.row import ReadOptions, RejectedRow, Row, SkippedRow
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement

RESULT_FIELDS = ("kind", "answer", "groups", "not_applicable", "note")
"""Fields that the results themselves say."""


def read(stream: BinaryIO, reading: ReadOptions) -> Iterator[Row | RejectedRow | SkippedRow]:
    """Yield a row an annotation. Predictions and drafts are nobody's answer and are left out."""
    for number, task in enumerate(json_array.read_items(stream), start=1):
        if isinstance(task, RejectedRow):
            yield task
            continue
        name = task.get("id", number)
        where = f"task {name if isinstance(name, int) and abs(name) < 10**18 else format_value(name)}"
        data, annotations = task.get("data"), task.get("annotations", task.get("completions"))
        if not isinstance(data, dict) or not isinstance(annotations, list):
            yield RejectedRow(where, "has no `data` or no `annotations`: export as JSON, not as JSON_MIN")
            continue
        if not annotations:
            yield SkippedRow(where)
        for count, annotation in enumerate(annotations, start=1):
            yield _row(f"{where}, annotation {count}", annotation, data, reading)


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement], place: PictureAddress) -> int:
    """Write tasks, each with all the annotations of one question; how many judgements."""
    count = 0

    def tasks() -> Iterator[dict[str, Any]]:
        nonlocal count
        for number, (data, group) in enumerate(group_by_question(judgements, place), start=1):
            annotations = [_annotation(judgement) for judgement in group]
            count += len(annotations)
            yield {"id": number, "data": data, "annotations": annotations}

    json_array.write_items(path, tasks())
    return count


def parse_note(value: Any) -> str | None:
    """The text in a TextArea's value."""
    texts = value.get("text") if isinstance(value, Mapping) else None
    if isinstance(texts, str):
        return texts
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return "\n".join(texts)
    return None


def _row(where: str, annotation: Any, data: dict[str, Any], reading: ReadOptions) -> Row | RejectedRow | SkippedRow:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        return RejectedRow(where, "has no list `result`")
    if annotation.get("was_cancelled") is True:
        return SkippedRow(where)
    results = [result for result in annotation["result"] if isinstance(result, dict)]
    judging = [
        result
        for result in results
        if isinstance(result.get("value"), dict)
        and any(key in result["value"] for key in JUDGING_KEYS)
        and reading.control in (None, result.get("from_name"))
    ]
    if not judging:
        return SkippedRow(where)
    if len(judging) > 1:
        names = sorted({str(result.get("from_name")) for result in judging})
        return RejectedRow(
            where, f"has results of the controls {format_value(names)}: say which counts with --control NAME"
        )
    try:
        fields = parse_result(judging[0]["value"], data, reading)
    except ValueError as error:
        return RejectedRow(where, str(error))
    notes = [
        parse_note(result["value"]) for result in results if result.get("type") == "textarea" and "value" in result
    ]
    return Row(
        where,
        parse_concept(data, reading)
        | _outside(annotation)
        | fields
        | ({"note": "\n".join(filter(None, notes))} if notes else {})
        | read_hfi_fields(judging[0].get("meta")),
    )


def _outside(annotation: dict[str, Any]) -> dict[str, Any]:
    """Who and when, as Label Studio has it."""
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    found = {"annotator": by, "answered_at": annotation.get("created_at")}
    return {name: value for name, value in found.items() if value is not None}


def collect_hfi_fields(judgement: BinaryJudgement | RankingJudgement) -> dict[str, Any]:
    """What of a judgement no result says, as it is kept under `hfi`."""
    return {
        name: value
        for name, value in dump_judgement(judgement).items()
        if name not in RESULT_FIELDS and value is not False
    }


def read_hfi_fields(place: Any) -> dict[str, Any]:
    """What `unsaid` gave, read back from what holds the key `hfi`, if it does."""
    kept = place.get("hfi") if isinstance(place, dict) else None
    return {name: value for name, value in kept.items() if name not in RESULT_FIELDS} if isinstance(kept, dict) else {}


def _annotation(judgement: BinaryJudgement | RankingJudgement) -> dict[str, Any]:
    row = dump_judgement(judgement)
    if isinstance(judgement, BinaryJudgement):
        result = {
            "from_name": ANSWER, "to_name": "picture", "type": "choices", "value": {"choices": [judgement.answer]},
        }  # fmt: skip
    else:
        value = make_ranker_value(row["groups"], row["not_applicable"])
        result = {"from_name": RANK, "to_name": "pictures", "type": "ranker", "value": value}
    results = [result | {"meta": {"hfi": collect_hfi_fields(judgement)}}]
    if judgement.note is not None:
        value = {"text": [judgement.note]}
        results.append({"from_name": NOTE, "to_name": result["to_name"], "type": "textarea", "value": value})
    annotation = {"result": results}
    if "answered_at" in row:
        annotation["created_at"] = row["answered_at"]
    return annotation
