"""Read a text file of prompts that the params name."""

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
    require_inside_project(file)
    try:
        with (folder / file).open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{file} is larger than 8 MiB, which is too large for a file of prompts")
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise ValueError(
            f"the file of prompts {file} is missing. To fix this: write one prompt a line into it"
        ) from None
    except (OSError, UnicodeError) as error:
        raise ValueError(f"the file of prompts {file} cannot be read: {error}") from error
    prompts = tuple(line for line in lines if line and not line.startswith("#"))
    if not prompts:
        raise ValueError(f"the file of prompts {file} has no prompt. To fix this: write one prompt a line into it")
    return prompts
