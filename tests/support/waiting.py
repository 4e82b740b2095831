"""Wait for something that another process or thread does."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE = 200.0
"""Seconds. Only a test that fails waits so long. Other tests are at work on the same machine."""


def wait_until(condition: Callable[[], Result], what: str = "something") -> Result:
    """Wait until something is so, and return what the condition says; fails when `PATIENCE` is over."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, f"waited {PATIENCE:g} s for this: {what}"
        time.sleep(0.05)
    return result
