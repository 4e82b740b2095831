"""Prefect's temporary server ends with the process that started it, however that ends."""

import os
import signal
import sys
import time

import httpx
import psutil

from tests.support.waiting import PATIENCE

_START = """
from flows.orchestration import temporary_server
temporary_server.start()
from prefect.settings import get_current_settings
print(get_current_settings().api.url, flush=True)
{then}
"""


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for_end(pids: list[int]) -> list[int]:
    """Return the processes that are still there after a while."""
    end = time.monotonic() + PATIENCE
    while (left := [pid for pid in pids if _is_running(pid)]) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def _start(project, then: str):
    return project.running(sys.executable, "-c", _START.format(then=then))


def _children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def test_a_process_killed_with_9_leaves_no_server_behind(fake_project):
    with _start(fake_project, then="import time; time.sleep(600)") as process:
        api = process.stdout.readline().strip()
        assert httpx.get(f"{api}/health").is_success
        servers = _children(process.pid)
        assert len(servers) == 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert _wait_for_end(servers) == []


def test_a_process_that_ends_takes_the_server_along(fake_project):
    with _start(fake_project, then="input()") as process:
        assert process.stdout.readline()
        servers = _children(process.pid)
        assert len(servers) == 1
        os.kill(process.pid, signal.SIGTERM)
        process.wait(60)
        assert _wait_for_end(servers) == []


def test_a_command_that_is_done_takes_the_server_along(fake_project):
    script = "import os, psutil; print(*[child.pid for child in psutil.Process().children()], flush=True)"
    with _start(fake_project, then=script) as process:
        process.stdout.readline()
        servers = [int(pid) for pid in process.stdout.readline().split()]
        assert process.wait(60) == 0
        assert len(servers) == 1 and not _is_running(servers[0])


def test_a_configured_server_is_used(fake_project, server):
    with fake_project.running(sys.executable, "-c", _START.format(then=""), PREFECT_API_URL=server) as process:
        assert process.stdout.readline().strip() == server
        assert process.wait(60) == 0
    assert not (fake_project.folder / ".hfi/prefect_server.log").exists()
