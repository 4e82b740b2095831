"""One large JSON array, item by item, in constant memory."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hfi_core.feedback.formats.row import RejectedRow
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import skip_byte_order_mark


def read_items(stream: BinaryIO) -> Iterator[dict[str, Any] | RejectedRow]:
    """Yield the objects of an array; what is no object, and where the text stops being JSON, is rejected."""
    import ijson

    stream.seek(skip_byte_order_mark(stream.read(4096)))
    number = 0
    try:
        for item in ijson.items(stream, "item", use_float=True):
            number += 1
            yield item if isinstance(item, dict) else RejectedRow(f"item {number}", "is no JSON object")
    except (ijson.JSONError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:120]
        yield RejectedRow(f"after item {number}", f"is no JSON any more ({ascii(said)}); export the file again")


def write_items(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write an array with one object a line; how many."""
    count = 0
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for row in rows:
            stream.write((",\n" if count else "\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))
            count += 1
        stream.write("\n]\n")
    return count
