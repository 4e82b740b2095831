"""Our own format: JSON Lines, one judgement a line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from hfi_core.feedback.formats.row import ReadOptions, RejectedRow, Row
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import MAX_LINE_BYTES, skip_byte_order_mark


def read(stream: BinaryIO, reading: ReadOptions) -> Iterator[Row | RejectedRow]:
    """Yield a row a line; blank lines are passed over."""
    stream.seek(skip_byte_order_mark(stream.read(4096)))
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"line {number}"
        if len(raw) > MAX_LINE_BYTES:
            yield RejectedRow(where, f"is longer than {MAX_LINE_BYTES} bytes; write one judgement a line")
            return
        if not raw.strip():
            continue
        try:
            fields = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError:
            yield RejectedRow(where, "is not UTF-8")
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits and deep nesting, too
            yield RejectedRow(where, f"is no JSON object ({str(error)[:120]})")
        else:
            if isinstance(fields, dict):
                yield Row(where, fields)
            else:
                yield RejectedRow(where, "is no JSON object")


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write judgements as they come; how many."""
    count = 0
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        for judgement in judgements:
            stream.write(json.dumps(dump_judgement(judgement), sort_keys=True, ensure_ascii=False) + "\n")
            count += 1
    return count
