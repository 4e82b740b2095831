"""A process of ours that does a part of a unit: it ends with the one that started it, however that ends.

The parent holds the child's standard input open, and nobody writes to it: its end says that the parent is gone.
"""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from hfi_core.errors import UserError

USER_ERROR_CODE = 2
"""Exit code of a child that tells of a user's mistake."""
_GRACE_SECONDS = 5.0


class ChildKilled(Exception):
    """A child ended by a signal that we did not send; what it had finished stays."""


@contextmanager
def start_child(
    module: str, arguments: Sequence[str], folder: Path, log: Path, **environment: str
) -> Iterator[subprocess.Popen]:
    """Start `python -m MODULE ARGUMENTS` in a folder, its words going to `log`; it is gone when the block ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as said:
        process = subprocess.Popen(
            # -P: a project may hold a folder `flows` of its own, which is not this package
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=folder, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
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
    """Return if an ended child did its part.

    Raises UserError with the child's own message, ChildKilled, or RuntimeError with the last line that it said.
    """
    code = process.returncode
    if code == 0:
        return
    if code == USER_ERROR_CODE and (message := process.stdout.read().decode()):
        raise UserError(message)
    if code < 0:
        hint = "; the system does that where memory runs out" if -code == signal.SIGKILL else ""
        raise ChildKilled(f"{name} was ended by {signal.Signals(-code).name}{hint}. The next run goes on from there.")
    last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    raise RuntimeError(f"{name} failed: {last} ({log})")


def run_child(part: Callable[[], None]) -> None:
    """Do a part as a child: a user's mistake is told to the parent, with exit code 2."""
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not stand in the answer
    Thread(target=_exit_with_parent, daemon=True).start()
    try:
        part()
    except UserError as error:
        os.write(answer, str(error).encode())
        sys.exit(USER_ERROR_CODE)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _exit_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not through the buffer, whose lock a thread may not hold when Python ends
    os._exit(1)  # at once: the main thread may be deep in a kernel, and files are whole or not at all
