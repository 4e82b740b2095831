"""A Prefect server for one command: it starts if no server is configured, and it ends with this process.

It runs `prefect server start` in a child process. The child exits when this process does, even after SIGKILL.
"""

import atexit
import runpy
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from flows.execution.child_process import run_child, start_child
from flows.runtime.network import LOOPBACK, free_port
from hfi_core.errors import UserError
from hfi_core.pipeline.layout import STATE

LOG = STATE / "prefect_server.log"
_MAX_ATTEMPTS = 3
"""Another program may take the free port before the server does."""
_STARTUP_SECONDS = 180.0
"""The first start creates the server's database, which takes a slow machine longer than 20 s."""
_SWITCHED_OFF = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP", "REPOSSESSOR")
"""Services for deployments. The database may belong to a permanent server, which runs them itself."""


def start() -> None:
    """Start the server that a flow needs, if none is configured. It ends with this process.

    Raises UserError if the server does not start.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, get_current_settings, temporary_settings

    settings = get_current_settings()
    if settings.api.url:
        return
    stack = ExitStack()
    # The server must not end earlier: Prefect sends the last events and log records when this process ends.
    atexit.register(stack.close)
    for _ in range(_MAX_ATTEMPTS):
        port = free_port()
        api = f"http://{LOOPBACK}:{port}/api"
        environment = {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in _SWITCHED_OFF}
        arguments = ["--host", LOOPBACK, "--port", str(port), "--no-ui"]
        server = stack.enter_context(start_child(__name__, arguments, Path(), LOG, environment))
        if _is_ready(server, api):
            # Without the second setting Prefect would link to pages that this server does not have.
            stack.enter_context(temporary_settings({PREFECT_API_URL: api, PREFECT_UI_URL: settings.ui_url or ""}))
            return
        stack.close()
    raise UserError(
        f"Prefect's temporary server does not start; its messages are in {LOG}.\n"
        "To fix this: start a server by `prefect server start`, and set PREFECT_API_URL to http://127.0.0.1:4200/api."
    )


def _is_ready(server: subprocess.Popen, api: str) -> bool:
    """Wait until the server answers; return False if it has ended or takes too long."""
    import httpx

    end = time.monotonic() + _STARTUP_SECONDS
    while server.poll() is None and time.monotonic() < end:
        with suppress(httpx.TransportError):
            if httpx.get(f"{api}/health", trust_env=False).is_success:
                return True
        time.sleep(0.1)
    return False


def _serve() -> None:
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_child(_serve)
