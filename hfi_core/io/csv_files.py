"""Read CSV and TSV tables with a header, line by line in constant memory; any bytes may come."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from hfi_core.errors import UserError

MAX_LINE_BYTES = 1 << 20
"""A longer line is refused, so that it cannot fill the memory."""

DELIMITERS = (",", ";", "\t")
"""Spreadsheets write a semicolon where the comma is the decimal mark."""

_BOMS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass
class TableError(Exception):
    """A line that cannot be read."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: the number of its first line, and its cells by column name."""

    number: int
    cells: dict[str, str]


def skip_byte_order_mark(start: bytes) -> int:
    """Return the length in bytes of a UTF-8 byte order mark at the start of a file.

    Raises UserError if the file has another encoding.
    """
    for mark, encoding in _BOMS.items():
        if start.startswith(mark):
            if encoding != "utf-8":
                raise UserError(f"The file is encoded in {encoding}. Save it as UTF-8.")
            return len(mark)
    if start[1::2].count(0) > len(start) // 4 or start[::2].count(0) > len(start) // 4:
        raise UserError("The file looks like UTF-16 without a byte order mark. Save it as UTF-8.")
    return 0


class Table:
    """A table's header, and an iterator of its rows."""

    def __init__(self, stream: BinaryIO, delimiter: str | None = None):
        self._stream, self._line = stream, 0
        stream.seek(skip_byte_order_mark(stream.read(4096)))
        lines = self._lines()
        first = next(lines, "")
        if delimiter is None:
            delimiter = max(DELIMITERS, key=first.count)
        self._reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        try:
            self.header = [name.strip() for name in next(self._reader, [])]
        except csv.Error as error:
            raise TableError(1, f"cannot be read as a table: {error}") from error
        columns = [name for name in self.header if name]
        if repeated := [name for name in columns if columns.count(name) > 1]:
            raise TableError(1, f"the header names the column {repeated[0][:80]!r} twice")

    def __iter__(self) -> Iterator[TableRow | TableError]:
        """Yield each row, or a TableError for a row that cannot be read. Empty lines are skipped.

        Iteration ends after an error of decoding or parsing, because the rows after it cannot be found.
        """
        while True:
            first_line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except TableError as error:
                yield error
                return
            except csv.Error as error:
                yield TableError(first_line, f"cannot be read as a table: {error}")
                return
            if cells is None:
                return
            if not any(cells):
                continue
            if len(cells) != len(self.header):
                yield TableError(first_line, f"has {len(cells)} cells where the header has {len(self.header)}")
                continue
            yield TableRow(first_line, dict(zip(self.header, cells, strict=True)))

    def _lines(self) -> Iterator[str]:
        while raw := self._stream.readline(MAX_LINE_BYTES + 1):
            self._line += 1
            if len(raw) > MAX_LINE_BYTES:
                raise TableError(self._line, f"is longer than {MAX_LINE_BYTES} bytes")
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                raise TableError(
                    self._line,
                    f"is not UTF-8 (byte 0x{byte:02x}); a spreadsheet may have written it as Windows-1252. "
                    "Save it as UTF-8",
                ) from error
