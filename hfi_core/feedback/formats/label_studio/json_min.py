"""Read and write Label Studio's JSON_MIN export: a flat object per annotation, with results and the task's data.

Fields that it does not support are under the key `hfi`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hfi_core.feedback.formats import json_array
from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.grouping import PictureAddress, group_by_question
from hfi_core.feedback.formats.label_studio.export import (
    collect_hfi_fields,
    parse_attribution,
    parse_note,
    read_hfi_fields,
)
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
from hfi_core.feedback.formats.row import ReadOptions, RejectedRow, Row, SkippedRow
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement

_OUR_CONTROLS = (ANSWER, RANK)
_TASK_KEYS = {
    "concept", "image", "picture", "sha256", "items", NOTE, "hfi", "id", "annotator", "annotation_id", "created_at",
    "updated_at", "lead_time", "project", "inner_id",
}  # fmt: skip
"""Keys of the tasks that we write, and those that Label Studio adds. Another key may be the control of the answer."""


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[Row | RejectedRow | SkippedRow]:
    """Yield a row per object."""
    keys = MappedKeys(options)
    for number, item in enumerate(json_array.read_items(stream), start=1):
        if isinstance(item, RejectedRow):
            yield item
            continue
        location = f"item {number}"
        if isinstance(item.get("id"), int) and abs(item["id"]) < 10**18:
            location += f" (task {item['id']})"
        keys.record(item)
        yield _row(location, item, options)
    keys.require_all()


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement], picture_address: PictureAddress) -> int:
    """Write an object per judgement, sorted by task. Return the number of judgements."""

    def rows() -> Iterator[dict[str, Any]]:
        annotation = 0
        for number, (data, group) in enumerate(group_by_question(judgements, picture_address), start=1):
            for judgement in group:
                annotation += 1
                yield data | {"id": number, "annotation_id": annotation} | _results(judgement)

    return json_array.write_items(path, rows())


def _row(location: str, item: dict[str, Any], options: ReadOptions) -> Row | RejectedRow | SkippedRow:
    controls = [name for name in _controls(item, options) if name in item]
    if not controls:
        if options.control:
            # Label Studio leaves out a control that was not answered.
            return SkippedRow(location, detail=f"it has the keys {format_value(sorted(item))}")
        return RejectedRow(
            location, f"has no known result among {format_value(sorted(item))}: name the control with --control NAME"
        )
    if len(controls) > 1:
        return RejectedRow(
            location,
            f"has results of the controls {format_value(controls)}: choose the one that counts with --control NAME",
        )
    others = sorted(item.keys() - _TASK_KEYS - set(options.columns.values()) - set(controls))
    if not options.control and not _is_result(item[controls[0]]) and others:
        return RejectedRow(
            location,
            f"has the key {controls[0]!r}, which may be the task's own, beside {format_value(others)}: "
            "name the control that holds the person's answer with --control NAME",
        )
    try:
        fields = parse_result(_value(item[controls[0]]), item, options)
        attribution = parse_attribution(item, item, options)
    except ValueError as error:
        return RejectedRow(location, str(error))
    note = item.get(NOTE) if isinstance(item.get(NOTE), str) else None
    if note is None and isinstance(item.get(NOTE), list) and item[NOTE]:
        note = parse_note(item[NOTE][0])
    return Row(
        location,
        parse_concept(item, options)
        | attribution
        | fields
        | ({} if note is None else {"note": note})
        | read_hfi_fields(item, options),
    )


def _controls(item: dict[str, Any], options: ReadOptions) -> list[str]:
    if options.control:
        return [options.control]
    typed = [name for name, value in item.items() if _is_result(value)]
    return typed + [name for name in _OUR_CONTROLS if name in item and name not in typed]


def _is_result(value: Any) -> bool:
    """Return whether a value is a list of results. (A single choice is a string, like any data.)"""
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
    row_of_results: dict[str, Any] = {"annotator": judgement.annotator}
    if isinstance(judgement, BinaryJudgement):
        row_of_results[ANSWER] = judgement.answer
    else:
        row_of_results[RANK] = [make_ranker_value(row["groups"], row["not_applicable"])]
    if judgement.note is not None:
        row_of_results[NOTE] = judgement.note
    if "answered_at" in row:
        row_of_results["created_at"] = row["answered_at"]
    row_of_results["hfi"] = collect_hfi_fields(judgement)
    return row_of_results
