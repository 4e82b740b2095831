"""Print lines, warnings and progress for the user, and format durations and sizes.

Progress is a bar with an estimate on a terminal, and a plain line every few seconds elsewhere.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from rich.console import Console

from flows.runtime import logs
from hfi_core.progress import Progress
from hfi_core.secrets import hide_secrets

_LINE_INTERVAL_SECONDS = 5.0
"""Between two plain lines of one unit."""

_LOG_WIDTH = 200
"""Columns where there is no terminal, so that lines of a log are not folded."""

if logs.is_structured():
    out = Console(
        file=cast(IO[str], logs.LoggedOutput(logging.INFO)), highlight=False, width=_LOG_WIDTH, force_terminal=False
    )
else:
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
err = Console(stderr=True, highlight=False)


def info(text: str, **fields: Any) -> None:
    """Print a line on standard output, without markup; `fields` appear only in a structured log.

    While a flow runs, the log of its run in Prefect gets the line, too.
    """
    _print_line(text, **fields)
    logs.send_line(logging.INFO, text)


def _print_line(text: str, **fields: Any) -> None:
    if logs.is_structured():
        logs.log(logging.INFO, text, **fields)
    else:
        out.print(hide_secrets(text), markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a line on standard error; while a flow runs, its log in Prefect gets it, too."""
    logs.send_line(logging.WARNING, text)
    if logs.is_structured():
        logs.log(logging.WARNING, text)
    else:
        err.print(hide_secrets(text), markup=False, style="yellow", soft_wrap=True)


@contextmanager
def show_progress(name: str) -> Iterator[Progress]:
    """Show the progress of `name` until the block ends, then print how long it took."""
    start = time.monotonic()
    with _bar(name) if out.is_terminal else _lines(name) as progress:
        yield progress
    seconds = time.monotonic() - start
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
        current_part = ""

        def progress(done: int, total: int, part: str) -> None:
            nonlocal current_part
            if part != current_part:  # each part of a stage has its own estimate
                current_part = part
                display.reset(task, total=total, description=f"{name}  {part}")
            display.update(task, completed=done, total=total)

        yield progress


@contextmanager
def _lines(name: str) -> Iterator[Progress]:
    info(f"{name}: started")
    last_line, part_start, current_part, done_at_start = time.monotonic(), time.monotonic(), "", 0

    def progress(done: int, total: int, part: str) -> None:
        nonlocal last_line, part_start, current_part, done_at_start
        now = time.monotonic()
        if part != current_part:
            current_part, part_start, done_at_start = part, now, done
        if now - last_line < _LINE_INTERVAL_SECONDS or done >= total:
            return
        last_line = now
        speed = (done - done_at_start) / max(now - part_start, 1e-9)
        left = f", about {format_duration((total - done) / speed)} left" if speed > 0 else ""
        # Not for Prefect's log, where an artifact shows the progress.
        _print_line(f"{name}: {part} {done}/{total}{left}", done=done, total=total)
        sys.stdout.flush()

    yield progress


def format_duration(seconds: float) -> str:
    """Format a duration for people: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def format_bytes(count: float) -> str:
    """Format a number of bytes for people, in binary units: `512 B`, `1.5 KiB`, `2.0 GiB`."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"
