"""Serve the units of one `dvc repro` from one process on Linux, so that the libraries are imported once.

The first `hfi stage` of a `dvc repro` starts the server, and the server ends with that `dvc repro`. For each unit it
forks a process with the arguments, environment and streams of the `hfi stage` that asks for it. That process is killed
if its `hfi stage` is, and `hfi stage` ends as that process does. Where no server can be had, a unit runs as before.
"""

import atexit
import gc
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path

import psutil

from flows.versioning.repro_guard import is_reproducing
from hfi_core.pipeline.layout import STATE

_IMPORTED_ON_USE = (
    "diffusers.models.unets", "diffusers.models.autoencoders", "diffusers.schedulers", "dvc.repo", "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
)  # fmt: skip
"""Libraries that a unit imports although the modules of the stages do not."""
_STARTED = b"+"
_IDLE_SECONDS = 300.0
"""Between two units of one `dvc repro`. The worker of a DVC queue lives longer; it then gets a new server."""


def run_in_server() -> None:
    """Have the server of this `dvc repro` run this process's command, and end as it ends.

    Returns if the command is not part of a `dvc repro`, or if there can be no server: then run it here.
    """
    parent = os.getppid()
    if not hasattr(os, "pidfd_open") or not is_reproducing(parent) or not Path(sys.argv[0]).is_file():
        return
    try:
        connection = _connect(STATE / f"units-{parent}.socket", parent)
    except OSError:  # a file system without sockets, for example
        return
    with connection:
        handler = signal.getsignal(signal.SIGINT)
        with suppress(OSError):
            socket.send_fds(connection, [_STARTED], [0, 1, 2])
            request = {"arguments": sys.argv, "environment": dict(os.environ), "ctrl_c": handler != signal.SIG_IGN}
            connection.sendall(json.dumps(request).encode() + b"\n")
        with suppress(OSError):
            if connection.recv(1):
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the unit, too, which then ends
                _end_as(connection.recv(16).decode())


def _connect(address: Path, parent: int) -> socket.socket:
    """Connect to the server of a `dvc repro`, and start it if there is none."""
    address.parent.mkdir(exist_ok=True)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
    except (FileNotFoundError, ConnectionRefusedError):
        for left in address.parent.glob("units-*.socket"):  # by a server that was killed
            if left == address or not psutil.pid_exists(int(left.stem.partition("-")[2])):
                left.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, _ctrl_c_ignored():
            listener.bind(str(address))
            address.chmod(0o600)  # who can connect can run code
            listener.listen()
            arguments = [str(listener.fileno()), str(parent), *_modules_of_units()]
            # -P: a project may have a folder `flows`, which is not this package
            subprocess.Popen([sys.executable, "-P", "-m", __name__, *arguments], pass_fds=[listener.fileno()])
        connection.connect(str(address))
    return connection


def _modules_of_units() -> list[str]:
    from hfi_core.pipeline.graph import STAGES  # only who starts the server needs it

    return [*(stage.function.partition(":")[0] for stage in STAGES), *_IMPORTED_ON_USE]


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Start children that Ctrl-C does not end."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _end_as(code: str) -> None:
    """End this process with the exit code, or by the signal (a negative number), of its unit."""
    if not code:
        raise RuntimeError("The process that runs the units of this `dvc repro` was killed. Run `dvc repro` again.")
    number = int(code)
    if number < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-number, signal.SIG_DFL)
        os.kill(os.getpid(), -number)
    os._exit(number)  # the unit has printed all that there is to say


def _serve(listener: socket.socket, parent: int, modules: list[str]) -> None:
    """Import modules, then run the units of a `dvc repro` until it ends."""
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        _use_streams([nothing.fileno()] * 3)  # who reads the first unit's output must not wait for the server's end
    address, ended = Path(listener.getsockname()), os.pidfd_open(parent)
    try:
        for module in modules:
            if wait([ended], timeout=0):
                return
            with suppress(Exception):  # the unit that needs it says what is wrong
                import_module(module)
        gc.freeze()
        while wait([listener, ended], _IDLE_SECONDS) == [listener]:
            _serve_unit(*listener.accept())
    finally:
        address.unlink(missing_ok=True)


def _serve_unit(connection: socket.socket, _: object) -> None:
    """Run a unit in a process of its own, kill it if its `hfi stage` ends, and report how it ended."""
    with connection, suppress(OSError, ValueError):  # a command that was stopped before it could ask
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        request = json.loads(connection.makefile("rb").readline())
        unit = multiprocessing.get_context("fork").Process(target=_run, args=(request, streams))
        unit.start()
        for stream in streams:
            os.close(stream)
        with suppress(OSError):
            connection.sendall(_STARTED)
        if connection in wait([connection, unit.sentinel]):
            unit.kill()
        unit.join()
        connection.sendall(str(unit.exitcode).encode())


def _run(request: dict, streams: list[int]) -> None:
    """Run a command as a new interpreter would, from its start to its end."""
    signal.signal(signal.SIGINT, signal.default_int_handler if request["ctrl_c"] else signal.SIG_IGN)
    _use_streams(streams)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["arguments"]
    torch = sys.modules.get("torch")  # it notices when a library used CUDA on import, which forbids it here
    if torch and torch.cuda._is_in_bad_fork():
        os.execv(sys.executable, [sys.executable, *sys.argv])
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()


def _use_streams(streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        _serve(given, int(sys.argv[2]), sys.argv[3:])
    os._exit(0)  # Python would take some time to remove thousands of modules
