"""Tables as text: CSV or TSV with a header, read line by line in constant memory, hostile bytes and all."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hfi_core.errors import UserError

MAX_LINE_BYTES = 1 << 20
"""A longer line is refused before it fills the memory."""

DELIMITERS = (",", ";", "\t")
"""A semicolon is what spreadsheets write where the comma is the decimal mark."""

_BOMS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass
class TableError(Exception):
    """One line that cannot be read. After a fatal one nothing that follows can be read either."""

    line: int
    reason: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: where it began, and its cells by the header's names."""

    number: int
    cells: dict[str, str]


def skip_byte_order_mark(start: bytes) -> int:
    """How many bytes of byte order mark to pass over; raises UserError that names an encoding other than UTF-8."""
    for mark, encoding in _BOMS.items():
        if start.startswith(mark):
            if encoding != "utf-8":
                raise UserError(f"The file is {encoding}; save it as UTF-8.")
            return len(mark)
    if start[1::2].count(0) > len(start) // 4 or start[::2].count(0) > len(start) // 4:
        raise UserError("The file looks like UTF-16 without a byte order mark; save it as UTF-8.")
    return 0


class Table:
    """A table's header, and its rows one after the other."""

    def __init__(self, stream: BinaryIO, delimiter: str | None = None):
        self._stream, self._line = stream, 0
        stream.seek(skip_byte_order_mark(stream.read(4096)))
        lines = self._lines()
        first = next(lines, "")
        if delimiter is None:
            delimiter = max(DELIMITERS, key=first.count)
        self._reader = csv.reader(_after(first, lines), delimiter=delimiter, strict=True)
        try:
            self.header = [name.strip() for name in next(self._reader, [])]
        except csv.Error as error:
            raise TableError(1, f"cannot be read as a table: {error}", fatal=True) from error
        named = [name for name in self.header if name]
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise TableError(1, f"the header names the column {twice[:80]!r} twice", fatal=True)

    def __iter__(self) -> Iterator[TableRow | TableError]:
        """Rows, and what cannot be read; nothing comes after a fatal trouble. Empty lines are passed over."""
        while True:
            began = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except TableError as trouble:
                yield trouble
                return
            except csv.Error as error:
                yield TableError(began, f"cannot be read as a table: {error}", fatal=True)
                return
            if cells is None:
                return
            if not any(cells):
                continue
            if len(cells) != len(self.header):
                yield TableError(began, f"has {len(cells)} cells where the header has {len(self.header)}")
                continue
            yield TableRow(began, dict(zip(self.header, cells, strict=True)))

    def _lines(self) -> Iterator[str]:
        while raw := self._stream.readline(MAX_LINE_BYTES + 1):
            self._line += 1
            if len(raw) > MAX_LINE_BYTES:
                raise TableError(self._line, f"is longer than {MAX_LINE_BYTES} bytes", fatal=True)
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                raise TableError(
                    self._line,
                    f"is not UTF-8 (byte 0x{byte:02x}); if it came from a spreadsheet it may be Windows-1252: "
                    "save it as UTF-8",
                    fatal=True,
                ) from error


def _after(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines
