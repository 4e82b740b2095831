"""Watch a `dvc repro` while it rewrites `dvc.lock`, and restore the file if the process is killed there.

No command of ours runs at that moment, and the next `dvc repro` could not read the file. So `hfi stage` starts this
small process at its end. It ends when the file has been written, or when the `dvc repro` has ended.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import zc.lockfile

from flows.versioning import pointer_recovery
from hfi_core.errors import UserError
from hfi_core.pipeline.layout import DVC_LOCK

_POLL_SECONDS = 0.02
_MAX_WAIT_SECONDS = 10.0


def start_guard(outputs: Iterable[Path]) -> None:
    """Watch the `dvc repro` that is making these outputs, if there is one.

    Call it before the outputs are made, so that the guard is there when they are; then call `mark_write`.
    """
    folder = _find_temporary_folder()
    process = _find_writer(folder, outputs) if folder else None
    if process is not None:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.versioning.repro_guard", str(process), str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


def is_reproducing(process: int) -> bool:
    """Return whether DVC's record names a process as the writer of an output, as it does during a `dvc repro`."""
    folder = _find_temporary_folder()
    return folder is not None and any(writer["pid"] == process for writer in _read_writers(folder).values())


def _watch(process: int, folder: Path) -> None:
    """Wait until the file is written or the process has ended, then restore what was cut off."""
    while _is_running(process):
        if pointer_recovery.is_written(DVC_LOCK):
            pointer_recovery.accept_write(DVC_LOCK)
            return
        time.sleep(_POLL_SECONDS)
    if lock := _acquire(folder / "lock"):
        try:
            pointer_recovery.recover_rwlock(folder)
            with suppress(UserError):
                pointer_recovery.recover_pointers([DVC_LOCK])
        finally:
            lock.close()


def _acquire(path: Path) -> zc.lockfile.LockFile | None:
    """Acquire DVC's lock, which a killed process holds until its last thread has ended; None if another one has it."""
    deadline = time.monotonic() + _MAX_WAIT_SECONDS
    while True:
        try:
            return zc.lockfile.LockFile(str(path))
        except zc.lockfile.LockError:
            if time.monotonic() > deadline:
                return None  # the next command of ours looks at the file
        time.sleep(_POLL_SECONDS)


def _find_temporary_folder() -> Path | None:
    """Return DVC's folder for locks. The project may be a folder of a larger repository."""
    roots = (Path.cwd(), *Path.cwd().parents)
    return next((root / ".dvc/tmp" for root in roots if (root / ".dvc").is_dir()), None)


def _find_writer(folder: Path, outputs: Iterable[Path]) -> int | None:
    """Return the id of the process that DVC's record names as the writer of these outputs."""
    writers = _read_writers(folder)
    return next((writers[path]["pid"] for output in outputs if (path := str(output.absolute())) in writers), None)


def _read_writers(folder: Path) -> dict[str, dict]:
    """Return DVC's record of the processes that write, by path; nothing if it cannot be read."""
    try:
        return json.loads((folder / "rwlock").read_text(encoding="utf-8")).get("write", {})
    except (OSError, ValueError):
        return {}


def _is_running(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    os.nice(5)
    _watch(int(sys.argv[1]), Path(sys.argv[2]))
