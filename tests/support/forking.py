"""Commands without their seconds of imports: a server that has imported the libraries forks a process for each.

A command has arguments, environment, folder, streams and exit code of its own. SIGINT and SIGTERM are passed on to it,
and it is killed with the process that stands for it; where that leads a group, as one that a terminal starts does, all
this is done to the command's group. What it has in common with the others are the modules that are imported already and
the seed of `hash`. Nothing of `flows` is among them: it has state.
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
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from tests.support.projects import REPOSITORY

VARIABLE = "TESTS_FORK_SERVER"
"""The server's socket; where it is empty or missing, a command gets an interpreter of its own, as a user's does."""

REAL = {VARIABLE: ""}
"""Environment in which commands are processes like a user's: for what signals, imports or logging's set-up do."""

SHARED = "TESTS_SHARED_FORK_SERVER"
"""The socket of the one server of all of pytest-xdist's processes."""

_IMPORTED = (
    "aiohttp.client", "diffusers.loaders", "diffusers.models.autoencoders", "diffusers.models.unets",
    "diffusers.pipelines.stable_diffusion", "dvc.repo", "fastapi", "flask", "hfi_core.annotation.app",
    "hfi_core.params", "matplotlib.figure", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking", "pandas", "prefect.artifacts", "prefect.flow_engine", "prefect.server.api.server",
    "prefect.task_engine", "prefect.workers.process", "rich.progress", "scipy.stats", "sklearn.metrics", "torch",
    "transformers.models.clip.modeling_clip", "typer", "uvicorn",
)  # fmt: skip

_SCRIPT = """#!{python} -SE
import os, signal, sys
server = os.environ.get("{variable}")
{start}
import json, socket
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(server)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: connection.send(bytes([number])))
    leads = os.getpid() == os.getpgrp()
    request = [os.path.dirname(os.path.realpath(__file__)), arguments, os.getcwd(), dict(os.environ), start, leads]
    socket.send_fds(connection, [json.dumps(request).encode() + bytes(1)], [0, 1, 2])
    code = int(connection.recv(16))
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
_CALL = """
start, arguments = "import sys; from {module} import {function}; sys.exit({function}())", sys.argv
if not server:
    os.execv(sys.executable, [sys.executable, "-c", "import sys; del sys.argv[0]; " + start, *arguments])
"""
_INTERPRET = """
arguments = sys.argv[1:]
while arguments[:1] in (["-P"], ["-u"]):
    del arguments[0]
if not server or arguments[:1] not in (["-m"], ["-c"]):
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
what, start = arguments[:2]
if what == "-m":
    start = "import runpy; runpy.run_module(" + repr(start) + ", run_name='__main__', alter_sys=True)"
arguments = [what, *arguments[2:]]
"""
_PYTHON = "python"
_COMMANDS = {
    "hfi": "flows.cli.main:main", "dvc": "dvc.cli:main", "mlflow": "mlflow.cli:cli", "prefect": "prefect.cli:app",
}  # fmt: skip


def environment_with(folder: Path, server: str, **commands: str) -> dict[str, str]:
    """An environment in which `hfi`, `dvc`, `mlflow`, `prefect`, `python` and `commands` are forked by a server.

    Each command is given as "module:function". `python` is for `-m` and `-c`, and what `sys.executable` names in them.
    """
    for name, main in (_COMMANDS | commands).items():
        module, _, function = main.partition(":")
        _write(folder / name, _CALL.format(module=module, function=function))
    _write(folder / _PYTHON, _INTERPRET)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, VARIABLE: server}


def _write(path: Path, start: str) -> Path:
    path.write_text(_SCRIPT.format(python=sys.executable, variable=VARIABLE, start=start))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@contextmanager
def fork_server() -> Iterator[str]:
    """A server, for the length of a block; its socket, or nothing where the system is not Linux.

    The socket is not there before the server has imported everything: see `wait_for`.
    """
    if not hasattr(os, "pidfd_open"):
        yield ""
        return
    # MLflow reads this once; `flows.runtime.environment` sets it in a process of its own.
    environment = os.environ | {"MLFLOW_LOGGING_LEVEL": "WARNING"}
    with (
        tempfile.TemporaryDirectory() as folder,  # a short path: a socket's may have 107 bytes
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.forking", f"{folder}/socket"], cwd=REPOSITORY, env=environment,
            start_new_session=True, stdin=subprocess.PIPE,
        ) as server,
    ):  # fmt: skip
        yield f"{folder}/socket"
        server.stdin.close()  # it ends then, as it does when this process is gone


def wait_for(server: str, seconds: float = 300) -> None:
    """Wait until a server listens at its socket."""
    end = time.monotonic() + seconds
    while not Path(server).exists():
        assert time.monotonic() < end, "the server that forks commands does not listen"
        time.sleep(0.05)


def _next_command(path: str) -> str:
    """Serve. Return in the process of each command, with the function that it calls."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.unheard")
        listener.listen(64)
        Path(f"{path}.unheard").rename(path)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    return _begin(connection)
    sys.exit()


def _begin(connection: socket.socket) -> str:
    """Fork a process for a command, and return in it. The client gets the exit code; if it ends, the command ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not message.endswith(bytes(1)):
        message += connection.recv(2**16)
    commands, arguments, folder, environment, start, leads = json.loads(message[:-1])
    if command := os.fork():
        with suppress(OSError):  # the command does it, too: whoever is first
            os.setpgid(command, command)
        ended, send = os.pidfd_open(command), os.killpg if leads else os.kill
        while ended not in select.select([ended, connection], [], [])[0]:
            (number,) = connection.recv(1) or [signal.SIGKILL]
            send(command, number)
        code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        with suppress(BrokenPipeError):
            connection.sendall(str(code).encode())
        os._exit(0)
    with suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where the tests run in the background
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = arguments
    if (python := Path(commands) / _PYTHON).exists():
        sys.executable = str(python)
    return start


class _Prefect(Loader, MetaPathFinder):
    """Give a command Prefect with its own settings where it imports it: the server imported it with other ones.

    Most commands never do, and reading the settings takes longer than the rest of a short one.
    """

    def __init__(self) -> None:
        names = [name for name in sys.modules if name.partition(".")[0] == "prefect"]
        self._modules = {name: sys.modules.pop(name) for name in names}
        self._spec = self._modules["prefect"].__spec__

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        if name != "prefect":
            return None
        found = ModuleSpec(name, self)
        found.submodule_search_locations = self._spec.submodule_search_locations  # as `python -m prefect` needs it
        return found

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._modules["prefect"]

    def exec_module(self, module: ModuleType) -> None:
        sys.meta_path.remove(self)
        module.__spec__ = self._spec
        sys.modules.update(self._modules)
        importlib.import_module("prefect.context").refresh_global_settings_context()
        importlib.import_module("prefect.logging.configuration").setup_logging()


def _end_with(start: str) -> NoReturn:
    """Run the command and end as Python does, but for the modules, whose end takes longer than most commands."""
    code = 0
    try:
        sys.meta_path.insert(0, _Prefect())
        exec(start, {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        code = 1
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    address = sys.argv[1]
    for library in _IMPORTED:
        importlib.import_module(library)
    # It looks once a process through every package that is installed, before a model is logged.
    importlib.import_module("mlflow.utils.requirements_utils").warn_dependency_requirement_mismatches(["mlflow"])
    gc.freeze()
    _end_with(_next_command(address))
