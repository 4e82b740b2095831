"""One project, one process at a time: `hfi run` and `hfi stage` take the same lock."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from flows.runtime.console import warn
from hfi_core.pipeline.layout import STATE


@contextmanager
def project_lock_if_free() -> Iterator[bool]:
    """Hold the project if no other process does, without waiting; whether it is held."""
    try:
        held = _lock().acquire(timeout=0)
    except Timeout:
        yield False
        return
    with held:
        yield True


@contextmanager
def project_lock() -> Iterator[None]:
    """Hold the project in this process; waits, and says so, while another process holds it."""
    lock = _lock()
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        warn("Another `hfi` is at work in this project; waiting until it is done (Ctrl-C to give up).")
        held = lock.acquire()
    with held:
        yield


def _lock() -> FileLock:
    STATE.mkdir(exist_ok=True)
    return FileLock((STATE / "lock").absolute(), is_singleton=True)
