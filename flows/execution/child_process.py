"""Run part of a unit in a child process that exits when its parent does, even after SIGKILL.

The parent holds the child's standard input open and writes nothing to it. When it closes, the parent has ended.
"""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from hfi_core.errors import UserError

USER_ERROR_CODE = 2
"""Exit code of a child that ended with a UserError."""
_GRACE_SECONDS = 5.0


class ChildKilled(Exception):
    """Error of a child that a signal ended which this process did not send; what it had finished stays."""


@contextmanager
def start_child(
    module: str, arguments: Sequence[str], folder: Path, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen]:
    """Start `python -m MODULE ARGUMENTS` in a folder, and end it with the block.

    `log` receives its standard error. `env` is added to the environment.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            # -P: a project may have a folder `flows`, which is not this package
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=folder, env=os.environ | (env or {}), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            start_new_session=True,  # a terminal's Ctrl-C goes to the parent, which ends the child in order
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.communicate()


def require_success(process: subprocess.Popen, name: str, log: Path) -> None:
    """Check that an ended child succeeded.

    Raises UserError with the child's own message, ChildKilled, or RuntimeError with the last line of its log.
    """
    code = process.returncode
    if code == 0:
        return
    if code == USER_ERROR_CODE and process.stdout and (message := process.stdout.read().decode()):
        raise UserError(message)
    if code < 0:
        hint = " (the system does that when memory runs out)" if -code == signal.SIGKILL else ""
        raise ChildKilled(f"{name} was ended by {signal.Signals(-code).name}{hint}. The next run continues from there.")
    last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["its log is empty"])[-1]
    raise RuntimeError(f"{name} failed: {last} ({log})")


def run_child(function: Callable[[], None]) -> None:
    """Run the main function of a child; send the message of a UserError to the parent, and exit with code 2."""
    to_parent = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print to the log, not to the parent
    Thread(target=_exit_with_parent, daemon=True).start()
    try:
        function()
    except UserError as error:
        os.write(to_parent, str(error).encode())
        sys.exit(USER_ERROR_CODE)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _exit_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # unbuffered: a thread must not hold the buffer's lock when Python exits
    os._exit(1)  # at once: the main thread may be busy in a kernel; files are written atomically
