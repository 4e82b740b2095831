"""Read a file of prompts that the params name: plain text, CSV with the field's columns, or COCO captions."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

from hfi_core.errors import UserError
from hfi_core.io.csv_files import Table, TableError
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
    require_inside_project(file)
    content = _read_bytes(folder / file, file)
    try:
        if file.endswith(".csv"):
            read = _read_csv(content, prompt, seed, guidance)
        elif file.endswith(".json"):
            read = PromptFile(_read_captions(content))
        else:
            lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
            read = PromptFile(tuple(line for line in lines if line and not line.startswith("#")))
    except TableError as error:
        raise ValueError(f"the file of prompts {file} cannot be read: line {error.line} {error.reason}") from error
    except (UserError, UnicodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the file of prompts {file} cannot be read: {error}") from error
    if not read.prompts:
        raise ValueError(f"the file of prompts {file} has no prompt. To fix this: write one prompt a line into it")
    return read


def _read_bytes(path: Path, file: str) -> bytes:
    most = _MAX_MEBIBYTES.get(path.suffix, _MAX_MEBIBYTES_OF_OTHERS)
    try:
        with path.open("rb") as stream:
            content = stream.read(most * 2**20 + 1)
    except FileNotFoundError:
        raise ValueError(
            f"the file of prompts {file} is missing. To fix this: write one prompt a line into it"
        ) from None
    except OSError as error:
        raise ValueError(f"the file of prompts {file} cannot be read: {error}") from error
    if len(content) > most * 2**20:
        raise ValueError(f"{file} is larger than {most} MiB, which is too large for a file of prompts")
    return content


def _read_csv(content: bytes, prompt: str, seed: str | None, guidance: str | None) -> PromptFile:
    table = Table(BytesIO(content), ",")
    columns = {"prompt": prompt, "seed": seed, "guidance": guidance}
    for key, column in columns.items():
        if column is not None and column not in table.header:
            raise TableError(1, f"has no column {column!r}, which {key} names; it has {', '.join(table.header)[:300]}")
    prompts, seeds, guidances = [], [], []
    for row in table:
        if isinstance(row, TableError):
            raise row
        prompts.append(row.cells[prompt].strip())
        if not prompts[-1]:
            raise TableError(row.number, f"has no prompt in the column {prompt!r}")
        if seed is not None:
            seeds.append(_read_number(int, row.cells[seed], seed, row.number))
        if guidance is not None:
            guidances.append(_read_number(float, row.cells[guidance], guidance, row.number))
    return PromptFile(tuple(prompts), tuple(seeds) if seed else None, tuple(guidances) if guidance else None)


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
