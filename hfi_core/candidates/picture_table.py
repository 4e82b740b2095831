"""What is known of pictures that exist already: a CSV with the columns file, prompt, seed and model."""

from pathlib import Path
from typing import Any

from hfi_core.errors import UserError, listed
from hfi_core.io.csv_files import Line, Table, TroubleAt

COLUMNS = ("file", "prompt", "seed", "model")
_MOST_PROMPT = 2000


def read_picture_table(path: Path) -> dict[str, dict[str, Any]]:
    """What a table says, by the file's path or name; empty cells are unknown.

    Raises UserError that names the lines which are wrong.
    """
    found: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    try:
        with path.open("rb") as stream:
            table = Table(stream)
            if "file" not in table.header:
                raise UserError(f"{path} has no column `file`; the columns that are read are {', '.join(COLUMNS)}.")
            for line in table:
                try:
                    if isinstance(line, TroubleAt):
                        raise ValueError(line.reason)
                    name, known = _row(line)
                    if name in found:
                        raise ValueError(f"names {name!r} again")
                    found[name] = known
                except ValueError as error:
                    wrong.append(f"line {line.number if isinstance(line, Line) else line.line}: {error}")
    except TroubleAt as trouble:
        raise UserError(f"{path}, line {trouble.line}: {trouble.reason}.") from trouble
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    if wrong:
        raise UserError("\n".join([f"{path}: nothing was imported.", *listed(wrong)]))
    return found


def _row(line: Line) -> tuple[str, dict[str, Any]]:
    cells = {name: line.cells.get(name, "").strip() for name in COLUMNS}
    name = cells.pop("file").removeprefix("./")
    if not name:
        raise ValueError("names no file")
    if len(cells["prompt"]) > _MOST_PROMPT:
        raise ValueError(f"the prompt has more than {_MOST_PROMPT} characters")
    known: dict[str, Any] = {key: value for key, value in cells.items() if value}
    if "seed" in known:
        if not (known["seed"].isascii() and known["seed"].isdecimal() and len(known["seed"]) <= 20):
            raise ValueError(f"the seed {known['seed'][:40]!r} is no whole number from 0")
        known["seed"] = int(known["seed"])
    return name, known
