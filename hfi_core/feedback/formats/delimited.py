"""Read and write CSV and TSV, a judgement per row. `--column FIELD=COLUMN` maps a header with other names to fields."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from hfi_core.errors import UserError
from hfi_core.feedback.formats.mapping import map_names, require_known_fields
from hfi_core.feedback.formats.ordering import format_digests, format_order, parse_digests, parse_order
from hfi_core.feedback.formats.row import FIELDS, ReadOptions, RejectedRow, Row
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement, dump_judgement
from hfi_core.io.atomic import atomic_file
from hfi_core.io.csv_files import Table, TableError, TableRow
from hfi_core.io.printable_text import escape_unprintable

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_MARK = "'"


def escape_formula(text: str | None) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula. None is an empty cell, "" a lone apostrophe."""
    if text is None:
        return ""
    if not text or text[0] in _FORMULA or _is_marked(text):
        return _MARK + text
    return text


def unescape_formula(cell: str) -> str | None:
    """Return the text that `escape_formula` was given."""
    if not cell:
        return None
    return cell[1:] if _is_marked(cell) else cell


def _is_marked(cell: str) -> bool:
    return cell.startswith(_MARK) and (len(cell) == 1 or cell[1] in _FORMULA or cell[1] == _MARK)


def read_csv(stream: BinaryIO, options: ReadOptions) -> Iterator[Row | RejectedRow]:
    """Yield the rows of a CSV file. The delimiter is the most frequent of comma, semicolon and tab in the header."""
    return _read(stream, options, None)


def read_tsv(stream: BinaryIO, options: ReadOptions) -> Iterator[Row | RejectedRow]:
    """Yield the rows of a TSV file."""
    return _read(stream, options, "\t")


def write_csv(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write a CSV file that a spreadsheet can open safely. Return the number of judgements."""
    return _write(path, judgements, ",")


def write_tsv(path: Path, judgements: Iterable[BinaryJudgement | RankingJudgement]) -> int:
    """Write a TSV file that a spreadsheet can open safely. Return the number of judgements."""
    return _write(path, judgements, "\t")


def map_columns(header: list[str], options: ReadOptions) -> dict[str, str]:
    """Return the column of each field. Raises UserError if the options map a field or column that does not exist."""
    require_known_fields(options)
    for name, column in options.columns.items():
        if column not in header:
            named = escape_unprintable(", ".join(header))[:500]
            raise UserError(f"--column {name}={column}: the header has no such column; it has {named}.")
    return map_names(header, options)


def _read(stream: BinaryIO, options: ReadOptions, delimiter: str | None) -> Iterator[Row | RejectedRow]:
    try:
        table = Table(stream, options.delimiter or delimiter, quoted=options.quoting != "none")
    except TableError as error:
        yield RejectedRow(f"line {error.line}", error.reason)
        return
    columns = map_columns(table.header, options)
    table.refuses_swallowed_rows = options.quoting is None and table.header != list(FIELDS)
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
