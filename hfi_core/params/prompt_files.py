"""Read files of prompts that the params name: text, or CSV with adversarial prompts."""

import csv
import io
from pathlib import Path

from hfi_core.params.values import require_inside_project

_MAX_BYTES = 8 * 1024 * 1024


def read_prompts(folder: Path, file: str) -> tuple[str, ...]:
    """Return the prompts of a text file: one a line, without blank lines and comments (lines that begin with #).

    Args:
        folder: the folder of `params.yaml`.
        file: path of the file, relative to that folder.

    Raises ValueError if the path leads out of the folder, or if the file is missing, too large, not UTF-8, or has no
    prompt.
    """
    lines = [line.strip() for line in _read_text(folder, file, "write one prompt a line into it").splitlines()]
    prompts = tuple(line for line in lines if line and not line.startswith("#"))
    if not prompts:
        raise ValueError(f"the file of prompts {file} has no prompt. To fix this: write one prompt a line into it")
    return prompts


PAIR = ("prompt", "adversarial_prompt")
"""The columns of a file of adversarial prompts that are read; the field's own files have more."""


def read_prompt_pairs(folder: Path, file: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of adversarial prompts, as mappings with `PAIR`.

    Raises ValueError as `read_prompts` does, or if a column or a cell is missing.
    """
    advice = f"write a CSV file with the columns {' and '.join(PAIR)}"
    lines = csv.DictReader(io.StringIO(_read_text(folder, file, advice), newline=""))
    if missing := [name for name in PAIR if name not in (lines.fieldnames or ())]:
        raise ValueError(f"the file of prompts {file} has no column {missing[0]}. To fix this: {advice}")
    pairs = []
    for line in lines:
        pair = {name: (line[name] or "").strip() for name in PAIR}
        if empty := [name for name in PAIR if not pair[name]]:
            raise ValueError(
                f"{file}, line {lines.line_num}: there is no {empty[0]}. To fix this: write one, or remove the line"
            )
        pairs.append(pair)
    if not pairs:
        raise ValueError(f"the file of prompts {file} has no prompt. To fix this: {advice}")
    return pairs


def _read_text(folder: Path, file: str, advice: str) -> str:
    require_inside_project(file)
    try:
        with (folder / file).open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{file} is larger than 8 MiB, which is too large for a file of prompts")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"the file of prompts {file} is missing. To fix this: {advice}") from None
    except (OSError, UnicodeError) as error:
        raise ValueError(f"the file of prompts {file} cannot be read: {error}") from error
