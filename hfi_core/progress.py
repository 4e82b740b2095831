"""How a long computation reports its progress."""

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""`progress(done, total, what)`. It is called often, so it has to return at once."""


def no_progress(done: int, total: int, what: str) -> None:
    """Report nothing."""


def report_steps(progress: Progress, total: int, what: str) -> Callable[[int, object], None]:
    """Return an observer of a training loop that reports each finished step."""
    return lambda step, _: progress(step + 1, total, what)
