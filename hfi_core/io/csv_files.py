"""Read CSV and TSV tables with a header, line by line in constant memory; any bytes may come."""

import csv
import re
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


_SEPARATOR_LINE = re.compile(r'^"?sep=([^\w"\r\n])"?[\r\n]*$', re.IGNORECASE)
"""A line that Excel writes above the header."""
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def _detect_delimiter(header: str, line: int) -> str:
    """Return the most frequent delimiter outside quotation marks. Raises TableError if two are equally frequent."""
    header = _QUOTED.sub("", header)
    first, second = sorted(DELIMITERS, key=header.count, reverse=True)[:2]
    if 0 < header.count(first) == header.count(second):
        raise TableError(
            line, f"has as many {first!r} as {second!r}: put names that contain them in quotation marks, "
            "or name the delimiter (import: --delimiter)",
        )  # fmt: skip
    return first


class Table:
    """A table's header, and an iterator of its rows."""

    def __init__(self, stream: BinaryIO, delimiter: str | None = None, *, quoted: bool = True):
        """Read the header. With `quoted` false, quotation marks are text. Raises TableError."""
        self._stream, self._line, self._lines_before = stream, 0, 0
        self.refuses_swallowed_rows = False
        """Whether a cell is refused that holds a line break and then what looks like a row."""
        stream.seek(skip_byte_order_mark(stream.read(4096)))
        lines = self._lines()
        first = next(lines, "")
        if match := _SEPARATOR_LINE.match(first):
            if delimiter not in (None, match[1]):
                raise TableError(1, f"says that {match[1]!r} separates the cells, but {delimiter!r} was expected")
            delimiter, first, self._lines_before = match[1], next(lines, ""), 1
        self._delimiter = delimiter or _detect_delimiter(first, 1 + self._lines_before)
        self._reader = csv.reader(
            chain([first], lines), delimiter=self._delimiter, strict=True,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        )  # fmt: skip
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
            first_line = self._reader.line_num + self._lines_before + 1
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
            if self.refuses_swallowed_rows and any(map(self._holds_rows, cells)):
                yield TableError(
                    first_line,
                    "has a quotation mark that opens a cell over several lines, which look like rows. If quotation "
                    "marks are text, add --quoting none; if the cell is right, --quoting double",
                )
                continue
            yield TableRow(first_line, dict(zip(self.header, cells, strict=True)))

    def _holds_rows(self, cell: str) -> bool:
        count = len(self.header) - 1
        return count > 0 and any(line.count(self._delimiter) == count for line in cell.splitlines()[1:])

    def _raw_lines(self) -> Iterator[bytes]:
        """Yield lines that end with LF, CRLF, or a lone CR, as old spreadsheets write it."""
        rest = b""
        while chunk := self._stream.readline(MAX_LINE_BYTES + 1):
            pieces = (rest + chunk).splitlines(keepends=True)
            complete = chunk.endswith(b"\n")
            rest = b"" if complete else pieces.pop()
            yield from pieces
            if len(rest) > MAX_LINE_BYTES:
                break
        if rest:
            yield rest

    def _lines(self) -> Iterator[str]:
        for raw in self._raw_lines():
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
