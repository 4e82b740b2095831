"""Write and read JSON and JSON Lines files."""

import json
from pathlib import Path
from typing import Any

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read the rows that an earlier stage wrote.

    Raises UserError if the file is missing or torn.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run the stage that writes it again.") from error


def write_json(path: Path, value: Any) -> None:
    """Write canonical, readable JSON as a whole file."""
    with atomic_file(path) as beside:
        beside.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line as a whole file."""
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read an object that an earlier stage wrote.

    Raises UserError if the file is missing or torn.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run the stage that writes it again.") from error
