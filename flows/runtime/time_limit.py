"""Limit the time of calls into libraries that may hang."""

import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class NoAnswerError(TimeoutError):
    """The time of a call is over."""


def iterate_within(seconds: float, function: Callable[[], Iterable[T]]) -> Iterator[T]:
    """Yield what a function yields, and raise what it raises.

    Raises NoAnswerError if it has not ended after so many seconds.
    """
    items: SimpleQueue[tuple[T] | Exception | None] = SimpleQueue()

    def work() -> None:
        try:
            for item in function():
                items.put((item,))
            items.put(None)
        except Exception as error:  # every library has its own
            items.put(error)

    # A daemon: a library that hangs must not keep the command from ending.
    Thread(target=work, daemon=True).start()
    deadline = time.monotonic() + seconds
    while True:
        try:
            item = items.get(timeout=max(deadline - time.monotonic(), 0.001))
        except Empty:
            raise NoAnswerError(f"no answer in {seconds:.0f} s") from None
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item[0]
