"""Prefect's temporary server ends with the process that started it, however that ends."""

import os
import signal
import sys
import time

import psutil

_STARTS = """
from flows.orchestration import temporary_server
temporary_server.start()
from prefect.server.api.server import SubprocessASGIServer
server = SubprocessASGIServer()
print(server.server_process.pid, server.guard.pid, flush=True)
{then}
"""


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for_the_end_of(pids: list[int]) -> list[int]:
    """Those that are still there after a while."""
    end = time.monotonic() + 30
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def test_a_process_killed_with_9_leaves_no_server_behind(fake_project):
    with fake_project.running(sys.executable, "-c", _STARTS.format(then="import time; time.sleep(600)")) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2 and all(map(_runs, pids))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert _wait_for_the_end_of(pids) == []


def test_a_process_that_ends_takes_the_server_and_its_guard_along(fake_project):
    with fake_project.running(sys.executable, "-c", _STARTS.format(then="")) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert process.wait(60) == 0
        assert [pid for pid in pids if _runs(pid)] == []
