"""Read and write Label Studio's JSON export: tasks with their annotations.

Label Studio annotations have no fields for our id, `supersedes` and the pseudonym. These are in the result's
`meta.hfi`, which Label Studio keeps.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
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
from hfi_core.feedback.formats.mapping import MappedKeys
from hfi_core.feedback.formats.row import GROUND_TRUTH, REVIEW_REJECTED, ReadOptions, RejectedRow, Row, SkippedRow
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement

ATTRIBUTION_FIELDS = {"annotator", "answered_at", "shown_at"}
"""Fields that an annotation has beside its results."""

_SAME_SAVE = timedelta(seconds=1)
"""Label Studio writes `created_at` and `updated_at` of a new annotation some microseconds apart."""
_ACTIONS_AFTER_REVIEW = ("updated", "accepted", "fixed_and_accepted", "deleted_review")

RESULT_FIELDS = ("kind", "answer", "groups", "not_applicable", "note")
"""Fields that the results themselves contain."""


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[Row | RejectedRow | SkippedRow]:
    """Yield a row per annotation. Predictions and drafts are not answers and are left out."""
    keys = MappedKeys(options)
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
        keys.record(data, *annotations)
        if not annotations:
            yield SkippedRow(location)
        for count, annotation in enumerate(annotations, start=1):
            yield _row(f"{location}, annotation {count}", annotation, data, options)
    keys.require_all()


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
    if annotation.get("was_cancelled") is True or annotation.get("skipped") is True:
        return SkippedRow(location)
    if _is_rejected(annotation):
        return SkippedRow(location, REVIEW_REJECTED)
    if annotation.get("ground_truth") is True and not options.ground_truth:
        return SkippedRow(location, GROUND_TRUTH)
    results = [result for result in annotation["result"] if isinstance(result, dict)]
    judging = [
        result
        for result in results
        if isinstance(result.get("value"), dict)
        and any(key in result["value"] for key in JUDGING_KEYS)
        and options.control in (None, result.get("from_name"))
    ]
    if not judging:
        controls = sorted({f"{result.get('from_name')} ({result.get('type')})" for result in results})
        return SkippedRow(
            location, detail=f"it has results of the controls {format_value(controls)}" if controls else ""
        )
    if len(judging) > 1:
        names = sorted({str(result.get("from_name")) for result in judging})
        return RejectedRow(
            location,
            f"has results of the controls {format_value(names)}: choose the one that counts with --control NAME",
        )
    try:
        fields = parse_result(judging[0]["value"], data, options)
        attribution = parse_attribution(annotation, data, options)
    except ValueError as error:
        return RejectedRow(location, str(error))
    notes = [
        parse_note(result["value"]) for result in results if result.get("type") == "textarea" and "value" in result
    ]
    return Row(
        location,
        parse_concept(data, options)
        | attribution
        | fields
        | ({"note": "\n".join(filter(None, notes))} if notes else {})
        | read_hfi_fields(judging[0].get("meta"), options),
    )


def parse_attribution(annotation: Mapping[str, Any], data: Mapping[str, Any], options: ReadOptions) -> dict[str, Any]:
    """Return the annotator and the times that Label Studio recorded, or those of the keys in the options.

    An object of JSON_MIN is both the annotation and the data. A key of the options is one of the annotation, or else of
    the task's data. An annotator that is an object stays one: the import knows a person
    by its number and by its address.
    """
    annotator = "annotator" if annotation is data else "completed_by"
    attribution = {"annotator": annotation.get(annotator), "answered_at": _answer_time(annotation)}
    for name in ATTRIBUTION_FIELDS & options.columns.keys():
        key = options.columns[name]
        attribution[name] = annotation.get(key, data.get(key))
    return {name: value for name, value in attribution.items() if value is not None}


def _answer_time(annotation: Mapping[str, Any]) -> Any:
    """Return the time of the answer: of its last change, or of its creation if both are of the same second."""
    created, updated = annotation.get("created_at"), annotation.get("updated_at")
    if not isinstance(created, str) or not isinstance(updated, str):
        return created if created is not None else updated
    try:
        apart = datetime.fromisoformat(updated) - datetime.fromisoformat(created)
    except (ValueError, TypeError, OverflowError):
        return created
    return updated if apart >= _SAME_SAVE else created


def _is_rejected(annotation: Mapping[str, Any]) -> bool:
    """Return whether a reviewer rejected an annotation, and nobody changed or accepted it since."""
    if annotation.get("last_action") == "rejected":
        return True
    reviews = annotation.get("reviews")
    reviews = [review for review in reviews if isinstance(review, dict)] if isinstance(reviews, list) else []
    if not reviews or annotation.get("last_action") in _ACTIONS_AFTER_REVIEW:
        return False
    return max(reviews, key=lambda review: str(review.get("created_at") or "")).get("accepted") is False


def collect_hfi_fields(judgement: BinaryJudgement | RankingJudgement) -> dict[str, Any]:
    """Collect the fields that the results do not contain, for the key `hfi`."""
    return {
        name: value
        for name, value in dump_judgement(judgement).items()
        if name not in RESULT_FIELDS and value is not False
    }


def read_hfi_fields(holder: Any, options: ReadOptions) -> dict[str, Any]:
    """Read the fields of `collect_hfi_fields` back from an object that may have the key `hfi`.

    A field that the options map to another key is not among them.
    """
    fields = holder.get("hfi") if isinstance(holder, dict) else None
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if name not in (*RESULT_FIELDS, *options.columns)}


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
