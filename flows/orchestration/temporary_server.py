"""Prefect's temporary server: out of the reach of Ctrl-C, and never outliving this process, however that ends."""

import signal
import subprocess
import sys
from threading import Thread

_GUARD = """
import contextlib, os, signal, sys, time
server = int(sys.argv[1])
sys.stdin.read()
with contextlib.suppress(ProcessLookupError):
    os.kill(server, signal.SIGTERM)
    for _ in range(50):
        time.sleep(0.1)
        os.kill(server, 0)
    os.kill(server, signal.SIGKILL)
"""
"""Reads from a pipe that nobody writes to: its end says that the process at the other side is gone, kill -9 or not."""


def start() -> None:
    """Start the server that a flow needs where none is configured; it ends with this process.

    A terminal sends Ctrl-C to the whole process group. The server must outlive it, or the flow could not be ended in
    order; so it is started with that signal blocked, which only the starting thread and its children are.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    configured = get_current_settings().api.url
    failures: list[Exception] = []

    def shielded() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if not configured:
                _guarded_server()  # Prefect takes the one that is there for the one it would make
            with get_client(sync_client=True):
                pass
        except Exception as error:  # a thread cannot raise to the one that waits for it
            failures.append(error)

    thread = Thread(target=shielded, daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _guarded_server():
    """Prefect's one server of this process, with a guard that ends it when this process is gone.

    Prefect ends its server at this process's exit, which kill -9 leaves out.
    """
    from prefect.server.api.server import SubprocessASGIServer

    class GuardedServer(SubprocessASGIServer):
        guard: subprocess.Popen | None = None

        def _run_uvicorn_command(self) -> subprocess.Popen:
            server = super()._run_uvicorn_command()
            self._dismiss()
            self.guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD, str(server.pid)], stdin=subprocess.PIPE
            )
            return server

        def stop(self) -> None:
            self._dismiss()  # first: once the server is gone, its number may be another process's
            super().stop()

        def _dismiss(self) -> None:
            if self.guard:
                self.guard.kill()
                self.guard.communicate()
                self.guard = None

    return GuardedServer()
