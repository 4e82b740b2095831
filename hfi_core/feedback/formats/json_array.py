"""Read and write a large JSON array item by item, in constant memory."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hfi_core.feedback.formats.row import RejectedRow
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import skip_byte_order_mark


def read_items(stream: BinaryIO) -> Iterator[dict[str, Any] | RejectedRow]:
    """Yield the objects of an array. Other items, and text that is not JSON, are rejected."""
    import ijson

    stream.seek(skip_byte_order_mark(stream.read(4096)))
    number = 0
    try:
        for item in ijson.items(stream, "item", use_float=True):
            number += 1
            yield item if isinstance(item, dict) else RejectedRow(f"item {number}", "is not a JSON object")
    except (ijson.JSONError, ValueError, RecursionError) as error:
        message = " ".join(str(error).split())[:120]
        yield RejectedRow(f"after item {number}", f"is not valid JSON ({ascii(message)}); export the file again")


def write_items(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write an array with one object per line. Return the number of objects."""
    count = 0
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for row in rows:
            stream.write((",\n" if count else "\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))
            count += 1
        stream.write("\n]\n")
    return count
