"""Read and write Label Studio's JSON export: tasks with their annotations.

Label Studio annotations have no fields for our id, `supersedes` and the pseudonym. These are in the result's
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
"""Fields that the results themselves contain."""


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[Row | RejectedRow | SkippedRow]:
    """Yield a row per annotation. Predictions and drafts are not answers and are left out."""
    for number, task in enumerate(json_array.read_items(stream), start=1):
        if isinstance(task, RejectedRow):
            yield task
            continue
        name = task.get("id", number)
        location = f"task {name if isinstance(name, int) and abs(name) < 10**18 else format_value(name)}"
        data, annotations = task.get("data"), task.get("annotations", task.get("completions"))
        if not isinstance(data, dict) or not isinstance(annotations, list):
            yield RejectedRow(location, "has no `data` or no `annotations`: export as JSON, not as JSON_MIN")
            continue
        if not annotations:
            yield SkippedRow(location)
        for count, annotation in enumerate(annotations, start=1):
            yield _row(f"{location}, annotation {count}", annotation, data, options)


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement], picture_address: PictureAddress) -> int:
    """Write tasks, each with all annotations of one question. Return the number of judgements."""
    count = 0

    def tasks() -> Iterator[dict[str, Any]]:
        nonlocal count
        for number, (data, group) in enumerate(group_by_question(judgements, picture_address), start=1):
            annotations = [_annotation(judgement) for judgement in group]
            count += len(annotations)
            yield {"id": number, "data": data, "annotations": annotations}

    json_array.write_items(path, tasks())
    return count


def parse_note(value: Any) -> str | None:
    """Parse the text of a TextArea's value."""
    texts = value.get("text") if isinstance(value, Mapping) else None
    if isinstance(texts, str):
        return texts
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return "\n".join(texts)
    return None


def _row(location: str, annotation: Any, data: dict[str, Any], options: ReadOptions) -> Row | RejectedRow | SkippedRow:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        return RejectedRow(location, "has no list `result`")
    if annotation.get("was_cancelled") is True:
        return SkippedRow(location)
    results = [result for result in annotation["result"] if isinstance(result, dict)]
    judging = [
        result
        for result in results
        if isinstance(result.get("value"), dict)
        and any(key in result["value"] for key in JUDGING_KEYS)
        and options.control in (None, result.get("from_name"))
    ]
    if not judging:
        return SkippedRow(location)
    if len(judging) > 1:
        names = sorted({str(result.get("from_name")) for result in judging})
        return RejectedRow(
            location,
            f"has results of the controls {format_value(names)}: choose the one that counts with --control NAME",
        )
    try:
        fields = parse_result(judging[0]["value"], data, options)
    except ValueError as error:
        return RejectedRow(location, str(error))
    notes = [
        parse_note(result["value"]) for result in results if result.get("type") == "textarea" and "value" in result
    ]
    return Row(
        location,
        parse_concept(data, options)
        | _parse_attribution(annotation)
        | fields
        | ({"note": "\n".join(filter(None, notes))} if notes else {})
        | read_hfi_fields(judging[0].get("meta")),
    )


def _parse_attribution(annotation: dict[str, Any]) -> dict[str, Any]:
    """Return the annotator and the time that Label Studio recorded."""
    annotator = annotation.get("completed_by")
    if isinstance(annotator, dict):
        annotator = annotator.get("email") or annotator.get("id")
    attribution = {"annotator": annotator, "answered_at": annotation.get("created_at")}
    return {name: value for name, value in attribution.items() if value is not None}


def collect_hfi_fields(judgement: BinaryJudgement | RankingJudgement) -> dict[str, Any]:
    """Collect the fields that the results do not contain, for the key `hfi`."""
    return {
        name: value
        for name, value in dump_judgement(judgement).items()
        if name not in RESULT_FIELDS and value is not False
    }


def read_hfi_fields(holder: Any) -> dict[str, Any]:
    """Read the fields of `collect_hfi_fields` back from an object that may have the key `hfi`."""
    fields = holder.get("hfi") if isinstance(holder, dict) else None
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if name not in RESULT_FIELDS}


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
