"""Read and write our own format: JSON Lines, one judgement per line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hfi_core.errors import UserError
from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.mapping import MappedKeys, get_value, map_names
from hfi_core.feedback.formats.row import ReadOptions, RejectedRow, Row
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import MAX_LINE_BYTES, skip_byte_order_mark


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[Row | RejectedRow]:
    """Yield a row per line, skipping blank lines."""
    stream.seek(skip_byte_order_mark(stream.read(4096)))
    number, keys = 0, MappedKeys(options)
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        location = f"line {number}"
        if len(raw) > MAX_LINE_BYTES:
            yield RejectedRow(location, f"is longer than {MAX_LINE_BYTES} bytes; write one judgement per line")
            return
        if not raw.strip():
            continue
        try:
            fields = json.loads(raw.decode("utf-8"), object_pairs_hook=make_object)
        except UnicodeDecodeError:
            yield RejectedRow(location, "is not UTF-8")
        except (
            ValueError,
            RecursionError,
        ) as error:  # RecursionError: deep nesting; ValueError also for a number of 5,000 digits
            yield RejectedRow(location, f"is not a JSON object ({str(error)[:120]})")
        else:
            if not isinstance(fields, dict):
                yield RejectedRow(location, "is not a JSON object")
            elif not options.columns:
                yield Row(location, fields)
            else:
                keys.record(fields)
                yield _map_row(location, fields, options)
    keys.require_all()


def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs. Raises ValueError if a key occurs twice: the object then says two things."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {format_value(repeated)} occurs twice")
    return fields


def _map_row(location: str, fields: dict[str, Any], options: ReadOptions) -> Row | RejectedRow:
    """Return the fields that the options and the usual names map. Other keys are ignored, as in a table."""
    try:
        columns = map_names(fields, options)
    except UserError as error:
        return RejectedRow(location, str(error))
    values = {name: get_value(fields, column) for name, column in columns.items()}
    answer = values.get("answer")
    if isinstance(answer, list):
        if len(answer) > 1:
            return RejectedRow(location, f"{format_value(answer)} is not a single choice: each picture has one answer")
        values["answer"] = answer[0] if answer else None
    return Row(location, {name: value for name, value in values.items() if value is not None})


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write judgements in the given order. Return their number."""
    count = 0
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        for judgement in judgements:
            stream.write(json.dumps(dump_judgement(judgement), sort_keys=True, ensure_ascii=False) + "\n")
            count += 1
    return count
