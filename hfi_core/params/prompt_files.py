"""Read files of prompts that the params name: plain text, CSV with the field's columns, or COCO captions."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

from hfi_core.errors import UserError
from hfi_core.io.csv_files import Table, TableError, TableRow
from hfi_core.params.values import require_inside_project

_MAX_MEBIBYTES = {".json": 64}
"""Largest size by the end of the file's name. COCO repeats much around each caption."""
_MAX_MEBIBYTES_OF_OTHERS = 8


class PromptFile(NamedTuple):
    """The prompts of a file; of a CSV, with the values of the columns that the suite names."""

    prompts: tuple[str, ...]
    seeds: tuple[int, ...] | None = None
    guidances: tuple[float, ...] | None = None


def read_prompt_file(
    folder: Path, file: str, *, prompt: str = "prompt", seed: str | None = None, guidance: str | None = None
) -> PromptFile:
    """Read a file of prompts. The end of its name says what it is.

    `.csv` is a table with a header. `.json` is COCO's format (Lin et al. 2014), with `annotations[].caption`; a caption
    that occurs again is left out. Anything else is text with one prompt a line, without blank lines and comments (#).

    Args:
        folder: the folder of `params.yaml`.
        file: path of the file, relative to that folder.
        prompt, seed, guidance: names of columns of a CSV.

    Raises ValueError if the path leads out of the folder, or if the file is missing, too large, unreadable, or has no
    prompt.
    """
    content = _read_bytes(folder, file, "write one prompt a line into it")
    with _name_file(file):
        if file.endswith(".csv"):
            read = _read_csv(content, prompt, seed, guidance)
        elif file.endswith(".json"):
            read = PromptFile(_read_captions(content))
        else:
            lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
            read = PromptFile(tuple(line for line in lines if line and not line.startswith("#")))
    if not read.prompts:
        raise ValueError(f"the file of prompts {file} has no prompt. To fix this: write one prompt a line into it")
    return read


PAIR = ("prompt", "adversarial_prompt")
"""The columns of a file of adversarial prompts that are read; the field's own files have more."""


def read_prompt_pairs(folder: Path, file: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of adversarial prompts, as mappings with `PAIR`.

    Raises ValueError as `read_prompt_file` does, or if a column or a cell is missing.
    """
    advice = f"write a CSV file with the columns {' and '.join(PAIR)}"
    content = _read_bytes(folder, file, advice)
    with _name_file(file):
        rows = _read_rows(content, {name: name for name in PAIR})
        pairs = [{name: _require_text(row, name) for name in PAIR} for row in rows]
    if not pairs:
        raise ValueError(f"the file of prompts {file} has no prompt. To fix this: {advice}")
    return pairs


@contextmanager
def _name_file(file: str) -> Iterator[None]:
    try:
        yield
    except TableError as error:
        raise ValueError(f"the file of prompts {file} cannot be read: line {error.line} {error.reason}") from error
    except (UserError, UnicodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the file of prompts {file} cannot be read: {error}") from error


def _read_bytes(folder: Path, file: str, advice: str) -> bytes:
    require_inside_project(file)
    path = folder / file
    most = _MAX_MEBIBYTES.get(path.suffix, _MAX_MEBIBYTES_OF_OTHERS)
    try:
        with path.open("rb") as stream:
            content = stream.read(most * 2**20 + 1)
    except FileNotFoundError:
        raise ValueError(f"the file of prompts {file} is missing. To fix this: {advice}") from None
    except OSError as error:
        raise ValueError(f"the file of prompts {file} cannot be read: {error}") from error
    if len(content) > most * 2**20:
        raise ValueError(f"{file} is larger than {most} MiB, which is too large for a file of prompts")
    return content


def _read_csv(content: bytes, prompt: str, seed: str | None, guidance: str | None) -> PromptFile:
    prompts, seeds, guidances = [], [], []
    for row in _read_rows(content, {"prompt": prompt, "seed": seed, "guidance": guidance}):
        prompts.append(_require_text(row, prompt))
        if seed is not None:
            seeds.append(_read_number(int, row.cells[seed], seed, row.number))
        if guidance is not None:
            guidances.append(_read_number(float, row.cells[guidance], guidance, row.number))
    return PromptFile(tuple(prompts), tuple(seeds) if seed else None, tuple(guidances) if guidance else None)


def _read_rows(content: bytes, columns: Mapping[str, str | None]) -> Iterator[TableRow]:
    """Yield the rows of a table that has the columns, which are named by what they are for."""
    table = Table(BytesIO(content), ",")
    for key, column in columns.items():
        if column is not None and column not in table.header:
            raise TableError(1, f"has no column {column!r}, which {key} names; it has {', '.join(table.header)[:300]}")
    for row in table:
        if isinstance(row, TableError):
            raise row
        yield row


def _require_text(row: TableRow, column: str) -> str:
    text = row.cells[column].strip()
    if not text:
        raise TableError(row.number, f"has no prompt in the column {column!r}")
    return text


_Number = TypeVar("_Number", int, float)


def _read_number(kind: Callable[[str], _Number], cell: str, column: str, line: int) -> _Number:
    try:
        return kind(cell)
    except ValueError:
        name = "whole number" if kind is int else "number"
        raise TableError(line, f"has {cell[:40]!r} in the column {column!r}, where a {name} belongs") from None


def _read_captions(content: bytes) -> tuple[str, ...]:
    try:
        captions = [annotation["caption"].strip() for annotation in json.loads(content)["annotations"]]
    except (KeyError, TypeError, AttributeError):
        raise UserError("it is not a file of COCO captions, with a text `caption` in each of `annotations`") from None
    return tuple(dict.fromkeys(caption for caption in captions if caption))
