"""Our own format: JSON Lines, one judgement a line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from hfi_core.feedback.formats.row import Reading, Rejected, Row
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, row_of
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import MOST_BYTES, refuse_other_encodings


def read(stream: BinaryIO, reading: Reading) -> Iterator[Row | Rejected]:
    """Yield a row a line; blank lines are passed over."""
    stream.seek(refuse_other_encodings(stream.read(4096)))
    number = 0
    while raw := stream.readline(MOST_BYTES + 1):
        number += 1
        where = f"line {number}"
        if len(raw) > MOST_BYTES:
            yield Rejected(where, f"is longer than {MOST_BYTES} bytes; write one judgement a line")
            return
        if not raw.strip():
            continue
        try:
            fields = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError:
            yield Rejected(where, "is not UTF-8")
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits and deep nesting, too
            yield Rejected(where, f"is no JSON object ({str(error)[:120]})")
        else:
            if isinstance(fields, dict):
                yield Row(where, fields)
            else:
                yield Rejected(where, "is no JSON object")


def write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write judgements as they come; how many."""
    count = 0
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        for judgement in judgements:
            stream.write(json.dumps(row_of(judgement), sort_keys=True, ensure_ascii=False) + "\n")
            count += 1
    return count
