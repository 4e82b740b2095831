"""`hfi` without its seconds of imports: a server that has imported the libraries forks a process for each command.

A command has arguments, environment, folder, streams and exit code of its own. What it has in common with the others
are the modules that are imported already and the seed of `hash`. Nothing of `flows` is among them: it has state.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from tests.projects import REPOSITORY

VARIABLE = "TESTS_FORK_SERVER"
"""The server's socket; where it is empty or missing, a command gets an interpreter of its own, as a user's does."""

_IMPORTED = (
    "diffusers.loaders", "diffusers.models", "diffusers.pipelines.stable_diffusion", "dvc.repo", "fastapi",
    "hfi_core.params", "matplotlib.figure", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking", "pandas", "prefect.artifacts", "prefect.flow_engine", "prefect.server.api.server",
    "prefect.task_engine", "rich.progress", "scipy.stats", "sklearn.metrics", "torch",
    "transformers.models.clip.modeling_clip", "typer",
)  # fmt: skip

_SCRIPT = """#!{python} -SE
import os, signal, sys
server = os.environ.get("{variable}")
if not server:
    os.execv(sys.executable, [sys.executable, "-c", "import sys; del sys.argv[0]; {start}", *sys.argv])
import json, socket
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(server)
    told = [sys.argv, os.getcwd(), dict(os.environ), "{start}"]
    socket.send_fds(connection, [json.dumps(told).encode() + bytes(1)], [0, 1, 2])
    code = int(connection.recv(16))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def write_command(path: Path, main: str) -> None:
    """Write an executable that calls `main` ("module:function")."""
    module, _, function = main.partition(":")
    start = f"import sys; from {module} import {function}; sys.exit({function}())"
    path.write_text(_SCRIPT.format(python=sys.executable, variable=VARIABLE, start=start))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@contextmanager
def fork_server() -> Iterator[str]:
    """A server, for the length of a block; its socket, or nothing where the system is not Linux."""
    if not hasattr(os, "pidfd_open"):
        yield ""
        return
    environment = os.environ | {"MLFLOW_LOGGING_LEVEL": "WARNING"}  # which it reads once, and flows.environment sets
    with (
        tempfile.TemporaryDirectory() as folder,  # a short path: a socket's may have 107 bytes
        subprocess.Popen(
            [sys.executable, "-m", "tests.forking", f"{folder}/socket"], cwd=REPOSITORY, env=environment,
            start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as server,
    ):  # fmt: skip
        assert server.stdout.readline(), "it says when it listens"
        yield f"{folder}/socket"
        server.stdin.close()  # it ends then, as it does when this process is gone


def _next_command(path: str) -> str:
    """Serve; returns in the process of a command, with what it is to call."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("listening", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    return _begin(connection)
    sys.exit()


def _begin(connection: socket.socket) -> str:
    """Fork the process of a command, in which this returns; its exit code goes to who asked, whose end is its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not told.endswith(bytes(1)):
        told += connection.recv(2**16)
    if command := os.fork():
        ended = os.pidfd_open(command)
        if ended not in select.select([ended, connection], [], [])[0]:
            os.kill(command, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        with suppress(BrokenPipeError):
            connection.sendall(str(code).encode())
        os._exit(0)
    arguments, folder, environment, start = json.loads(told[:-1])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = arguments
    return start


def _let_prefect_settle() -> None:
    """Give Prefect its settings when `settle` has been called, before which it is not imported elsewhere."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    from flows import environment

    settle = environment.settle

    def settle_and_refresh() -> None:
        environment.settle = settle
        settle()
        refresh_global_settings_context()
        setup_logging()

    environment.settle = settle_and_refresh


def _end_with(start: str) -> NoReturn:
    """Run the command and end as Python does, but for the modules, whose end takes longer than most commands."""
    code = 0
    try:
        _let_prefect_settle()
        exec(start, {})
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        code = 1
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    place = sys.argv[1]
    for library in _IMPORTED:
        importlib.import_module(library)
    gc.freeze()
    _end_with(_next_command(place))
