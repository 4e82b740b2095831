"""CSV and TSV: one judgement a row, our field names as the header, or any header with `--column FIELD=COLUMN`."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from hfi_core.errors import UserError
from hfi_core.feedback.formats.answers import printable
from hfi_core.feedback.formats.ordering import format_digests, format_order, parse_digests, parse_order
from hfi_core.feedback.formats.row import FIELDS, RATING, ReadOptions, RejectedRow, Row
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import Table, TableError, TableRow

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_MARK = "'"


def escape_formula(text: str | None) -> str:
    """The text as a cell; nothing is an empty cell, and an empty text a lone apostrophe."""
    if text is None:
        return ""
    if not text or text[0] in _FORMULA or _is_marked(text):
        return _MARK + text
    return text


def unescape_formula(cell: str) -> str | None:
    """What `escape_formula` was given."""
    if not cell:
        return None
    return cell[1:] if _is_marked(cell) else cell


def _is_marked(cell: str) -> bool:
    return cell.startswith(_MARK) and (len(cell) == 1 or cell[1] in _FORMULA or cell[1] == _MARK)


_OURS = {"id", "annotator", "concept", "kind"}
"""A header with all of these is our own; in another, a column `id` numbers the rows of that file only."""


def read_csv(stream: BinaryIO, reading: ReadOptions) -> Iterator[Row | RejectedRow]:
    """Yield a row a line of a CSV file; the delimiter is the header's commonest of comma, semicolon and tab."""
    return _read(stream, reading, None)


def read_tsv(stream: BinaryIO, reading: ReadOptions) -> Iterator[Row | RejectedRow]:
    """Yield a row a line of a TSV file."""
    return _read(stream, reading, "\t")


def write_csv(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write a CSV file that a spreadsheet can open safely; how many judgements."""
    return _write(path, judgements, ",")


def write_tsv(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write a TSV file that a spreadsheet can open safely; how many judgements."""
    return _write(path, judgements, "\t")


def map_columns(header: list[str], reading: ReadOptions) -> dict[str, str]:
    """Column by field; raises UserError for a mapping that the header does not hold."""
    for name, column in reading.columns.items():
        if name not in (*FIELDS, RATING):
            known = ", ".join((*FIELDS, RATING))
            raise UserError(f"--column {name}={column}: there is no field {name!r}; there are {known}.")
        if column not in header:
            named = printable(", ".join(header))[:500]
            raise UserError(f"--column {name}={column}: the header has no such column; it has {named}.")
    own = {column.casefold(): column for column in header}
    found = {name: own[name] for name in (*FIELDS, RATING) if name in own}
    if not found.keys() >= _OURS:
        found.pop("id", None)
    return found | dict(reading.columns)


def _read(stream: BinaryIO, reading: ReadOptions, delimiter: str | None) -> Iterator[Row | RejectedRow]:
    try:
        table = Table(stream, delimiter)
    except TableError as trouble:
        yield RejectedRow(f"line {trouble.line}", trouble.reason)
        return
    columns = map_columns(table.header, reading)
    for line in table:
        if isinstance(line, TableRow):
            yield Row(f"line {line.number}", _fields(line.cells, columns))
        else:
            yield RejectedRow(f"line {line.line}", line.reason)


def _fields(cells: dict[str, str], columns: dict[str, str]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, column in columns.items():
        value = unescape_formula(cells[column])
        if name != "note" and value is not None:
            value = value.strip() or None
        if value is None:
            continue
        if name == "groups":
            fields[name] = parse_order(value)
        elif name == "not_applicable":
            fields[name] = value.split()
        elif name == "digests":
            fields[name] = parse_digests(value)
        elif name == "simulated":
            fields[name] = {"true": True, "false": False}.get(value.casefold(), value)
        else:
            fields[name] = value
    if fields.get("kind") == "ranking":
        fields.setdefault("groups", [])
    return fields


def _write(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement], delimiter: str) -> int:
    count = 0
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL)
        writer.writerow(FIELDS)
        for judgement in judgements:
            writer.writerow(escape_formula(text) for text in _texts(dump_judgement(judgement)))
            count += 1
    return count


def _texts(row: dict) -> Iterator[str | None]:
    for name in FIELDS:
        value = row.get(name)
        if name == "groups":
            yield format_order(value) or None if value is not None else None
        elif name == "not_applicable":
            yield " ".join(value) or None if value is not None else None
        elif name == "digests":
            yield format_digests(value) if value is not None else None
        elif name == "simulated":
            yield "true" if value else None
        else:
            yield value
