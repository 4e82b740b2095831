"""Wait for something that another process or thread does."""

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds. Only a test that fails waits so long. Other tests are at work on the same machine."""


def wait_until(condition: Callable[[], object], what: str = "something") -> None:
    """Wait until something is so; fails when `PATIENCE` is over."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s for this: {what}"
        time.sleep(0.05)
