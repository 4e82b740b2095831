"""Starts real servers for tests, and ends them."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.waiting import PATIENCE


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_free(port: int, seconds: float = PATIENCE) -> None:
    """Wait until nobody listens at a port any more: a server that was killed may take a moment."""
    until = time.monotonic() + seconds
    with suppress(ConnectionRefusedError):
        while time.monotonic() < until:
            socket.create_connection(("127.0.0.1", port)).close()
            time.sleep(0.02)


@contextmanager
def running(
    command: Sequence[object], folder: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen]:
    """Start a server in a process group of its own, its words in `log`; what is left of it ends with the block."""
    with log.open("a") as stream:
        server = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(server.pid, ending)
            with suppress(subprocess.TimeoutExpired):
                server.wait(20)


def wait_for(address: str, server: subprocess.Popen, log: Path, seconds: float = 120) -> None:
    """Wait until a server answers with success; if it does not, the error shows its output."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{address} does not answer:\n{log.read_text()[-3000:]}")


@contextmanager
def mlflow_server(folder: Path, environment: Mapping[str, str], *options: str) -> Iterator[str]:
    """An MLflow server on SQLite whose files lie in a folder; its address."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "log"
    command = [
        "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--artifacts-destination={folder}/artifacts", *options,
    ]  # fmt: skip
    environment = {**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(command, folder, log, environment) as server:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/health", server, log)
        yield address


@contextmanager
def prefect_server(home: Path, environment: Mapping[str, str], port: int) -> Iterator[subprocess.Popen]:
    """A Prefect server whose home is a folder; its process, once it is well."""
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    with running(command, home, home / "log", {**environment, "PREFECT_HOME": str(home)}) as server:
        wait_for(f"http://127.0.0.1:{port}/api/health", server, home / "log")
        yield server
