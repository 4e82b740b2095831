"""Lock the project: one process at a time changes it."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from flows.runtime.console import warn
from hfi_core.pipeline.layout import STATE


@contextmanager
def project_lock_if_free() -> Iterator[bool]:
    """Lock the project if it is free, without waiting; yield whether it is locked."""
    try:
        held = _lock().acquire(timeout=0)
    except Timeout:
        yield False
        return
    with held:
        yield True


@contextmanager
def project_lock() -> Iterator[None]:
    """Lock the project; while another process holds the lock, print a warning and wait."""
    lock = _lock()
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        warn("Another `hfi` command is running in this project; waiting until it ends (Ctrl-C stops waiting).")
        held = lock.acquire()
    with held:
        yield


@contextmanager
def project_lock_released() -> Iterator[None]:
    """Release the project's lock, if this process holds it, for the duration of the block.

    What this process waits for may itself wait for the lock: a `dvc repro` whose stage is a command of ours.
    """
    lock = _lock()
    depth = lock.lock_counter
    if depth:
        lock.release(force=True)
    try:
        yield
    finally:
        for _ in range(depth):
            lock.acquire()


def _lock() -> FileLock:
    STATE.mkdir(exist_ok=True)
    return FileLock((STATE / "lock").absolute(), is_singleton=True)
