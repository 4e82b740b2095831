"""What is dear to compute and wanted by several at once: one computation serves all who wait for it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key, Value = TypeVar("Key"), TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Values by key, each computed once for all who ask while it is made and for `seconds` after."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: dict[Key, Future[tuple[float, Value]]] = {}

    def get(self, key: Key, compute: Callable[[], Value]) -> Value:
        """The value; raises what `compute` raises, to all who waited, and the next one tries anew."""
        with self._lock:
            there = self._kept.get(key)
            mine = there is None or (there.done() and time.monotonic() - there.result()[0] > self._seconds)
            if mine:
                there = self._kept[key] = Future()
        if mine:
            try:
                value = compute()
                there.set_result((time.monotonic(), value))
            except BaseException as error:
                self._drop(key, there)
                there.set_exception(error)
        return there.result()[1]

    def drop(self, key: Key) -> None:
        """Whoever asks from now on gets a new value, even if one is being made: what it rests on has changed."""
        with self._lock:
            self._kept.pop(key, None)

    def _drop(self, key: Key, failed: Future) -> None:
        with self._lock:
            if self._kept.get(key) is failed:
                del self._kept[key]
