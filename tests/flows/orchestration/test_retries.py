"""What talks over a network is tried again; mistakes and science are not."""

import pytest
from requests.exceptions import ConnectTimeout

from flows.orchestration.tasks import RETRIES, is_temporary
from hfi_core.errors import UserError

_CALLS = """
import socket
import sys
from pathlib import Path
from flows.orchestration import tasks
from hfi_core.errors import UserError

tasks._FIRST_PAUSE_SECONDS = 0.01
if sys.argv[1] == "hang":
    tasks.MAX_SECONDS = 0.5
ERROR = {"hang": TimeoutError, "network": ConnectionResetError, "mistake": UserError, "bug": ValueError}[sys.argv[1]]

def call():
    with Path("calls").open("a") as stream:
        stream.write("call\\n")
    if sys.argv[1] == "hang":
        socket.create_server(("127.0.0.1", 0)).accept()
    if len(Path("calls").read_text().splitlines()) <= int(sys.argv[2]):
        raise ERROR("broken")
    return "done"

from prefect import flow

@flow(retries=0)
def run():
    return tasks.network_task(call, "call", "call")()

try:
    print(run())
except ERROR as error:
    print("failed:", error)
"""


def test_a_cause_of_the_network_counts_however_deep_it_lies():
    def wrapped(error: Exception) -> UserError:
        try:
            try:
                raise error
            except Exception as inner:
                raise RuntimeError("outer") from inner
        except RuntimeError as outer:
            told = UserError("told")
            told.__cause__ = outer
            return told

    assert is_temporary(wrapped(ConnectTimeout()))
    assert is_temporary(ConnectionRefusedError())
    assert not is_temporary(wrapped(PermissionError()))
    assert not is_temporary(UserError("a mistake"))


@pytest.mark.parametrize(
    ("kind", "failures", "calls", "said"),
    [
        ("network", 2, 3, "done"),
        ("network", 99, 1 + RETRIES, "failed: broken"),
        ("hang", 99, 1, "failed: Scope timed out after 0.5 second(s)."),
        ("mistake", 99, 1, "failed: broken"),
        ("bug", 99, 1, "failed: broken"),
    ],
)
def test_only_what_may_pass_is_tried_again_and_not_for_ever(inside, kind, failures, calls, said, quick):
    told = inside.call("python", "-c", _CALLS, kind, str(failures), **quick)
    assert told.stdout.splitlines()[-1] == said
    assert len((inside.folder / "calls").read_text().splitlines()) == calls
