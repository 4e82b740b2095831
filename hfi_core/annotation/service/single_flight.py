"""Single flight: concurrent callers of an expensive computation share one result."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Values by key. Each is computed once for all callers, and reused until it is `max_age_seconds` old."""

    def __init__(self, max_age_seconds: float):
        self._max_age_seconds = max_age_seconds
        self._lock = threading.Lock()
        self._futures: dict[Key, Future[tuple[float, Value]]] = {}

    def get(self, key: Key, compute: Callable[[], Value]) -> Value:
        """Return the value of a key.

        If `compute` raises, all waiting callers get the error, and the next call computes again.
        """
        with self._lock:
            known = self._futures.get(key)
            if known is None or (known.done() and time.monotonic() - known.result()[0] > self._max_age_seconds):
                future = self._futures[key] = Future()
            else:
                future = known
            must_compute = future is not known
        if must_compute:
            try:
                value = compute()
                future.set_result((time.monotonic(), value))
            except BaseException as error:
                self._remove_failed(key, future)
                future.set_exception(error)
        return future.result()[1]

    def invalidate(self, key: Key) -> None:
        """Make the next call compute again, even while a computation runs: its input may have changed."""
        with self._lock:
            self._futures.pop(key, None)

    def _remove_failed(self, key: Key, failed: Future) -> None:
        with self._lock:
            if self._futures.get(key) is failed:
                del self._futures[key]
