"""Read and write a large JSON array item by item, in constant memory."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.row import RejectedRow
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import skip_byte_order_mark


class _Object(dict):
    """An object that remembers a key that occurs twice in it."""

    repeated: str | None = None

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self:  # not raised: the parser does not expect an error
            self.repeated = key
        super().__setitem__(key, value)


def _find_repeated_key(value: Any) -> str | None:
    """Return a key that occurs twice in an object or one of those inside it: it says two things."""
    if isinstance(value, _Object) and value.repeated is not None:
        return value.repeated
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((key for key in map(_find_repeated_key, inner) if key is not None), None)


def read_items(stream: BinaryIO) -> Iterator[dict[str, Any] | RejectedRow]:
    """Yield the objects of an array. Other items, and text that is not JSON, are rejected."""
    import ijson

    stream.seek(skip_byte_order_mark(stream.read(4096)))
    number = 0
    try:
        for item in ijson.items(stream, "item", map_type=_Object, use_float=True):
            number += 1
            if not isinstance(item, dict):
                yield RejectedRow(f"item {number}", "is not a JSON object")
            elif (key := _find_repeated_key(item)) is not None:
                yield RejectedRow(f"item {number}", f"the key {format_value(key)} occurs twice in one object")
            else:
                yield item
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
