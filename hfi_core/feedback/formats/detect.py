"""Detect the format of a file by its first bytes. The file name only decides between CSV and TSV."""

import json
import re
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.io.csv_files import skip_byte_order_mark

_START_BYTES = 64 * 1024
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"PAR1": "a Parquet file; write it out as CSV or JSON Lines",
    b"SQLite format 3\x00": "a SQLite database; export it as CSV",
    b"%PDF": "a PDF",
}
_HINT = "Name the format with --format jsonl, csv, tsv, label-studio or label-studio-min"
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_TASK = re.compile(r'"(annotations|completions)"\s*:')


def detect_format(path: Path, *, delimited: bool = False) -> str:
    """Return the name of the format in FORMATS. Raises UserError, naming what the file is, if it is none of them.

    `delimited`: the options name a delimiter, so a text that is not JSON is CSV.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(_START_BYTES)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    for magic, description in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise UserError(f"{path} is {description}.")
    try:
        skip = skip_byte_order_mark(start)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    text = start[skip:].decode("utf-8", errors="replace").lstrip()
    if not text:
        raise UserError(f"{path} is empty.")
    if text.startswith("["):
        return _detect_array(path, text)
    # Not `splitlines`: it also splits at characters that JSON may hold.
    header = re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]
    if text.startswith("{"):
        if not _is_json(header) and len(text) < _START_BYTES // 2:
            raise UserError(
                f"{path} begins like one JSON object over several lines, which is not a known format. {_HINT}."
            )
        return "jsonl"
    if text.startswith("<"):
        raise UserError(f"{path} is an HTML or XML page, perhaps of an error; download the export again.")
    if path.suffix.lower() in _JSON_SUFFIXES:
        raise UserError(f"{path} is not JSON, but its name ends with {path.suffix}. {_HINT}.")
    if delimited or header.casefold().lstrip('"').startswith("sep="):
        return "csv"
    if path.suffix.lower() in (".tsv", ".tab") or header.count("\t") > max(map(header.count, ",;")):
        return "tsv"
    if path.suffix.lower() == ".csv" or "," in header or ";" in header:
        return "csv"
    raise UserError(f"{path} is not in a known format. {_HINT}.")


def _detect_array(path: Path, text: str) -> str:
    content = text[1:].lstrip()
    if content.startswith("]"):
        raise UserError(f"{path} is an empty JSON array: there is nothing to import.")
    if not content.startswith("{"):
        raise UserError(f"{path} is a JSON array of something other than objects, which is not a known format.")
    # The annotation of a task may come after 64 KiB of picture, but so would the keys of JSON_MIN.
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
