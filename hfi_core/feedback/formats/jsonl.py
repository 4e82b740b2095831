"""Read and write our own format: JSON Lines, one judgement per line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from hfi_core.feedback.formats.row import ReadOptions, RejectedRow, Row
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import MAX_LINE_BYTES, skip_byte_order_mark


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[Row | RejectedRow]:
    """Yield a row per line, skipping blank lines."""
    stream.seek(skip_byte_order_mark(stream.read(4096)))
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        location = f"line {number}"
        if len(raw) > MAX_LINE_BYTES:
            yield RejectedRow(location, f"is longer than {MAX_LINE_BYTES} bytes; write one judgement per line")
            return
        if not raw.strip():
            continue
        try:
            fields = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError:
            yield RejectedRow(location, "is not UTF-8")
        except (
            ValueError,
            RecursionError,
        ) as error:  # RecursionError: deep nesting; ValueError also for a number of 5,000 digits
            yield RejectedRow(location, f"is not a JSON object ({str(error)[:120]})")
        else:
            if isinstance(fields, dict):
                yield Row(location, fields)
            else:
                yield RejectedRow(location, "is not a JSON object")


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write judgements in the given order. Return their number."""
    count = 0
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        for judgement in judgements:
            stream.write(json.dumps(dump_judgement(judgement), sort_keys=True, ensure_ascii=False) + "\n")
            count += 1
    return count
