"""Write and read JSON and JSON Lines files."""

import json
from pathlib import Path
from typing import Any

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a JSON Lines file that an earlier stage wrote.

    Raises UserError if the file is missing or incomplete.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}. To fix this, run the stage that writes it again.") from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as canonical, indented JSON, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object per line, whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that an earlier stage wrote.

    Raises UserError if the file is missing or incomplete.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}. To fix this, run the stage that writes it again.") from error
