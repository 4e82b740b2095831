"""Whether the process of a flow run lives: it holds a lock that the kernel frees when it dies, however it dies."""

from contextlib import suppress
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from flows.runtime.lock import STATE

RUNS = STATE / "runs"
_held: dict[str, FileLock] = {}


def live(run: str) -> None:
    """Hold the lock of a flow run until this process ends."""
    if run not in _held:
        RUNS.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_place(run).absolute())
        with suppress(Timeout):  # another process of the same run: it is that one that lives
            lock.acquire(timeout=0)
            _held[run] = lock


def look(run: str) -> Literal["alive", "dead", "unknown"]:
    """Whether the process of a run holds its lock; `unknown` where none ever did here."""
    place = _place(run)
    if not place.exists():
        return "unknown"
    try:
        with FileLock(place.absolute()).acquire(timeout=0):
            return "dead"
    except Timeout:
        return "alive"


def forget(run: str) -> None:
    """Remove the lock of a run that has ended."""
    _place(run).unlink(missing_ok=True)


def known() -> list[str]:
    """The runs that held a lock here."""
    return sorted(path.name for path in RUNS.glob("*"))


def _place(run: str) -> Path:
    return RUNS / run
