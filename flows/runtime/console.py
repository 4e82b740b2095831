"""What the user sees while things run: bars with an estimate on a terminal, a plain line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from flows.runtime import logs
from hfi_core.progress import Progress
from hfi_core.secrets import redacted

_EVERY_SECONDS = 5.0
"""Between two plain lines of one unit."""

_WIDE = 200
"""Columns where there is no terminal: a log is not folded."""

if logs.structured():
    out = Console(file=logs.LoggedOutput(logging.INFO), highlight=False, width=_WIDE, force_terminal=False)
else:
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False)


def info(text: str, **fields: Any) -> None:
    """A plain line on standard output, free of markup; `fields` go into a structured log alone."""
    if logs.structured():
        logs.log(logging.INFO, text, **fields)
    else:
        out.print(redacted(text), markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """A line on standard error."""
    if logs.structured():
        logs.log(logging.WARNING, text)
    else:
        err.print(redacted(text), markup=False, style="yellow", soft_wrap=True)


@contextmanager
def progress_of(name: str) -> Iterator[Progress]:
    """Show how far `name` is until the block ends, then say how long it took."""
    started = time.monotonic()
    with _bar(name) if out.is_terminal else _lines(name) as progress:
        yield progress
    seconds = time.monotonic() - started
    info(f"{name}: done in {format_duration(seconds)}", seconds=round(seconds, 3))


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    from rich import progress as rich

    columns = (
        rich.SpinnerColumn(),
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("left"),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=out, transient=True) as display:
        task = display.add_task(name, total=None)
        shown = ""

        def progress(done: int, total: int, what: str) -> None:
            nonlocal shown
            if what != shown:  # another part of the stage: its own estimate
                shown = what
                display.reset(task, total=total, description=f"{name}  {what}")
            display.update(task, completed=done, total=total)

        yield progress


@contextmanager
def _lines(name: str) -> Iterator[Progress]:
    info(f"{name}: started")
    last, part_began, part, first = time.monotonic(), time.monotonic(), "", 0

    def progress(done: int, total: int, what: str) -> None:
        nonlocal last, part_began, part, first
        now = time.monotonic()
        if what != part:
            part, part_began, first = what, now, done
        if now - last < _EVERY_SECONDS or done >= total:
            return
        last = now
        speed = (done - first) / max(now - part_began, 1e-9)
        left = f", about {format_duration((total - done) / speed)} left" if speed > 0 else ""
        info(f"{name}: {what} {done}/{total}{left}", done=done, total=total)
        sys.stdout.flush()

    yield progress


def format_duration(seconds: float) -> str:
    """A duration for people: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
