"""The result of one check of `hfi doctor`, the time limit of a check, and the check of a folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.runtime.time_limit import NoAnswerError, iterate_within
from hfi_core.errors import UserError, first_line
from hfi_core.secrets import hide_secrets

RESPONSE_SECONDS = 5.0
"""Time limit of one response of a server."""
MAX_SECONDS = 40.0
"""Time limit of one check: some responses, and the imports that it needs."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    ok: bool
    message: str
    remedy: str = ""
    needed: bool = True
    """Whether the pipeline fails without it; else a failure is only a note."""

    @property
    def mark(self) -> str:
        """Return the verdict in one word."""
        return "ok" if self.ok else ("FAILED" if self.needed else "note")


def with_timeout(
    name: str,
    remedy: str,
    check: Callable[[], Iterable[Finding]],
    needed: bool = True,
    max_seconds: float = MAX_SECONDS,
) -> Iterator[Finding]:
    """Yield the findings of `check`. If it raises an error or exceeds its time, that is a finding called `name`."""
    try:
        yield from iterate_within(max_seconds, check)
    except (UserError, NoAnswerError) as error:
        yield Finding(name, False, str(error), remedy, needed)
    except Exception as error:  # every library has its own
        yield Finding(name, False, hide_secrets(first_line(error, with_type=True)), remedy, needed)


def check_folder(name: str, folder: Path, remedy: str = "") -> Finding:
    """Return whether a folder can be written to, or created in the nearest parent that exists."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    ok = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    message = f"{folder} can be written to" if ok else f"{folder} cannot be written to"
    return Finding(name, ok, message, remedy or f"Correct the permissions of {nearest}.")
