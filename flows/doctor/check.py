"""What `hfi doctor` says of one thing that it looked at."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from hfi_core.errors import UserError, first_line
from hfi_core.secrets import redacted


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    well: bool
    told: str
    remedy: str = ""
    needed: bool = True
    """Whether the pipeline fails without it; else it is told as a note."""

    @property
    def mark(self) -> str:
        """The verdict in a word."""
        return "ok" if self.well else ("FAILED" if self.needed else "note")


SECONDS = 5.0
"""For one answer of a server."""
LONGEST = 40.0
"""Seconds for one look: some answers, and what has to be imported for it."""


def with_timeout(
    name: str, remedy: str, look: Callable[[], Iterable[Finding]], needed: bool = True, longest: float = LONGEST
) -> Iterator[Finding]:
    """What `check` finds; what it raises, or that it does not end in time, is a finding called `name`."""
    found: SimpleQueue[Finding | None] = SimpleQueue()

    def work() -> None:
        try:
            for finding in look():
                found.put(finding)
        except UserError as error:
            found.put(Finding(name, False, str(error), remedy, needed))
        except Exception as error:  # every library has its own
            found.put(Finding(name, False, redacted(first_line(error, with_type=True)), remedy, needed))
        found.put(None)

    # A daemon: a library that hangs must not keep the command from ending.
    Thread(target=work, daemon=True).start()
    until = time.monotonic() + longest
    while True:
        try:
            finding = found.get(timeout=max(until - time.monotonic(), 0.001))
        except Empty:
            yield Finding(name, False, f"no answer in {longest:.0f} s", remedy, needed)
            return
        if finding is None:
            return
        yield finding
