"""Label Studio's JSON_MIN export: one flat object an annotation, the controls' results beside the task's data.

What it has no place for lies under the key `hfi`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hfi_core.feedback.formats import json_array
from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.grouping import PictureAddress, group_by_question
from hfi_core.feedback.formats.label_studio.export import collect_hfi_fields, parse_note, read_hfi_fields
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

_OUR_CONTROLS = (ANSWER, RANK)


def read(stream: BinaryIO, reading: ReadOptions) -> Iterator[Row | RejectedRow | SkippedRow]:
    """Yield a row an object."""
    for number, item in enumerate(json_array.read_items(stream), start=1):
        if isinstance(item, RejectedRow):
            yield item
            continue
        where = f"item {number}"
        if isinstance(item.get("id"), int) and abs(item["id"]) < 10**18:
            where += f" (task {item['id']})"
        yield _row(where, item, reading)


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement], place: PictureAddress) -> int:
    """Write an object a judgement, those of one task one after the other; how many."""

    def rows() -> Iterator[dict[str, Any]]:
        annotation = 0
        for number, (data, group) in enumerate(group_by_question(judgements, place), start=1):
            for judgement in group:
                annotation += 1
                yield data | {"id": number, "annotation_id": annotation} | _results(judgement)

    return json_array.write_items(path, rows())


def _row(where: str, item: dict[str, Any], reading: ReadOptions) -> Row | RejectedRow | SkippedRow:
    controls = [name for name in _controls(item, reading) if name in item]
    if not controls:
        if reading.control:
            return SkippedRow(where)  # Label Studio leaves out the control that was not answered
        return RejectedRow(
            where, f"has no result that is known among {format_value(sorted(item))}: say which with --control NAME"
        )
    if len(controls) > 1:
        return RejectedRow(
            where, f"has results of the controls {format_value(controls)}: say which counts with --control NAME"
        )
    try:
        fields = parse_result(_value(item[controls[0]]), item, reading)
    except ValueError as error:
        return RejectedRow(where, str(error))
    outside = {"annotator": item.get("annotator"), "answered_at": item.get("created_at")}
    note = item.get(NOTE) if isinstance(item.get(NOTE), str) else None
    if note is None and isinstance(item.get(NOTE), list) and item[NOTE]:
        note = parse_note(item[NOTE][0])
    return Row(
        where,
        parse_concept(item, reading)
        | {name: value for name, value in outside.items() if value is not None}
        | fields
        | ({} if note is None else {"note": note})
        | read_hfi_fields(item),
    )


def _controls(item: dict[str, Any], reading: ReadOptions) -> list[str]:
    if reading.control:
        return [reading.control]
    typed = [name for name, value in item.items() if _is_result(value)]
    return typed or [name for name in _OUR_CONTROLS if name in item]


def _is_result(value: Any) -> bool:
    """Results other than a single choice are a list of values; a single choice is a string like any data."""
    return (
        isinstance(value, list)
        and len(value) == 1
        and isinstance(value[0], dict)
        and any(key in value[0] for key in JUDGING_KEYS)
    )


def _value(result: Any) -> dict[str, Any]:
    if _is_result(result):
        return result[0]
    if isinstance(result, dict) and any(key in result for key in JUDGING_KEYS):
        return result
    if isinstance(result, int | float) and not isinstance(result, bool):
        return {"rating": result}
    return {"choices": result}


def _results(judgement: BinaryJudgement | RankingJudgement) -> dict[str, Any]:
    row = dump_judgement(judgement)
    found: dict[str, Any] = {"annotator": judgement.annotator}
    if isinstance(judgement, BinaryJudgement):
        found[ANSWER] = judgement.answer
    else:
        found[RANK] = [make_ranker_value(row["groups"], row["not_applicable"])]
    if judgement.note is not None:
        found[NOTE] = judgement.note
    if "answered_at" in row:
        found["created_at"] = row["answered_at"]
    found["hfi"] = collect_hfi_fields(judgement)
    return found
