"""Which format a file is in, by what it begins with; its name decides only between CSV and TSV."""

import json
import re
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.io.csv_files import skip_byte_order_mark

_BEGINNING = 64 * 1024
_OTHERS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"PAR1": "a Parquet file; write it out as CSV or JSON Lines",
    b"SQLite format 3\x00": "a SQLite database; export it as CSV",
    b"%PDF": "a PDF",
}
_HOW = "Name the format with --format jsonl, csv, tsv, label-studio or label-studio-min"
_TASK = re.compile(r'"(annotations|completions)"\s*:')


def detect_format(path: Path) -> str:
    """The name of the format in FORMATS; raises UserError, naming what the file is, if it is none of them."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_BEGINNING)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise UserError(f"{path} is {what}.")
    try:
        skip = skip_byte_order_mark(start)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    text = start[skip:].decode("utf-8", errors="replace").lstrip()
    if not text:
        raise UserError(f"{path} is empty.")
    if text.startswith("["):
        return _array(path, text)
    first = re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]  # `splitlines` ends a line at what JSON may hold, too
    if text.startswith("{"):
        if not _is_json(first) and len(text) < _BEGINNING // 2:
            raise UserError(
                f"{path} begins like one JSON object over several lines, which is no format known here. {_HOW}."
            )
        return "jsonl"
    if path.suffix.lower() in (".tsv", ".tab") or first.count("\t") > max(first.count(","), first.count(";")):
        return "tsv"
    if path.suffix.lower() == ".csv" or "," in first or ";" in first:
        return "csv"
    raise UserError(f"{path} is in no format that is known here. {_HOW}.")


def _array(path: Path, text: str) -> str:
    inside = text[1:].lstrip()
    if inside.startswith("]"):
        raise UserError(f"{path} is an empty JSON array: there is nothing to import.")
    if not inside.startswith("{"):
        raise UserError(f"{path} is a JSON array of something other than objects, which is no format known here.")
    # An annotation may lie behind 64 KiB of picture; but then the keys of JSON_MIN would, too.
    if _TASK.search(text):
        return "label-studio"
    if '"annotation_id"' in text or '"annotator"' in text or '"created_at"' in text and '"data"' not in text:
        return "label-studio-min"
    return "label-studio" if '"data"' in text else "label-studio-min"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
