"""The units of one `dvc repro` run in processes that one server forks, and behave as processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from flows.execution import unit_server
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the server needs Linux")

UNIT = """
import os, signal, sys, time
from flows.execution import unit_server
unit_server._modules_of_units = lambda: ["no_such_module"]  # the real ones take seconds
unit_server.run_in_server()
print(sys.argv[1], os.getppid(), os.getpid(), os.environ["NUMBER"], flush=True)
print("to standard error", file=sys.stderr, flush=True)
try:
    exec(sys.argv[1])
except KeyboardInterrupt:
    print("stopped", flush=True)
    sys.exit(130)
"""
"""A command in the place of `hfi stage`; its argument is what the unit does."""

REPRO = """
import json, os, subprocess, sys
from pathlib import Path
Path(".dvc/tmp").mkdir(parents=True, exist_ok=True)
Path(".dvc/tmp/rwlock").write_text(json.dumps({"write": {"an output": {"pid": os.getpid(), "cmd": "dvc repro"}}}))
ended = []
for number, what in enumerate(sys.argv[1:]):
    environment = os.environ | {"NUMBER": str(number)}
    done = subprocess.run([sys.executable, "unit.py", what], env=environment, capture_output=True, text=True)
    ended.append([done.returncode, done.stdout, done.stderr])
print(json.dumps(ended))
"""
"""A command in the place of `dvc repro`: it is the writer in DVC's record, and runs one unit after the other."""


@pytest.fixture
def project(tmp_path) -> Path:
    """A folder with the two commands."""
    (tmp_path / "unit.py").write_text(UNIT)
    (tmp_path / "repro.py").write_text(REPRO)
    return tmp_path


@contextmanager
def running(project: Path, *units: str) -> Iterator[subprocess.Popen]:
    """Run units one after the other in a process group of their own, as a terminal does."""
    process = subprocess.Popen(
        [sys.executable, "repro.py", *units], cwd=project, text=True, stdout=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def run(project: Path, *units: str) -> list[tuple[int, str, str]]:
    """Run units to their end; exit code, standard output and standard error of each."""
    with running(project, *units) as process:
        return [tuple(ended) for ended in json.loads(process.communicate()[0])]


def processes_in(project: Path) -> list[psutil.Process]:
    """The processes that work in a folder."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        if process.info["cwd"] == str(project) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def is_clean(project: Path) -> bool:
    return not processes_in(project) and not list((project / ".hfi").iterdir())


def test_each_unit_has_streams_environment_and_exit_code_of_its_own_and_nothing_is_left(project):
    first, second, third = run(project, "pass", "sys.exit(2)", "sys.exit('a message')")
    assert [first[0], second[0], third[0]] == [0, 2, 1]
    server, own, number = zip(*(unit[1].split()[-3:] for unit in (first, second, third)), strict=True)
    assert number == ("0", "1", "2")
    assert len(set(server)) == 1, "one process has started all"
    assert len(set(own)) == 3
    assert [unit[2] for unit in (first, second)] == ["to standard error\n"] * 2
    assert third[2] == "to standard error\na message\n"
    wait_until(lambda: is_clean(project))


def test_what_a_unit_leaves_for_its_end_happens(project):
    ((code, output, _),) = run(project, "import atexit; atexit.register(print, 'at the end')")
    assert code == 0 and output.endswith("at the end\n")


def test_a_unit_that_a_signal_ends_looks_so(project):
    codes = [
        unit[0] for unit in run(project, *(f"os.kill(os.getpid(), signal.{name})" for name in ("SIGKILL", "SIGTERM")))
    ]
    assert codes == [-signal.SIGKILL, -signal.SIGTERM]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_unit_ends_with_its_command(project, number):
    with running(project, "open('begun', 'w'); time.sleep(600)", "pass") as process:
        wait_until((project / "begun").exists)
        (command,) = psutil.Process(process.pid).children()
        os.kill(command.pid, number)
        (killed, _, _), (after, _, _) = json.loads(process.communicate()[0])
    assert (killed, after) == (-number, 0), "the server goes on with the next unit"
    wait_until(lambda: is_clean(project))


def test_ctrl_c_reaches_the_unit_once_and_leaves_nothing(project):
    with running(project, "open('begun', 'w'); time.sleep(600)") as process:
        wait_until((project / "begun").exists)
        for child in processes_in(project):
            if child.pid != process.pid:  # `dvc repro` itself ignores it while a unit runs
                child.send_signal(signal.SIGINT)
        ((code, output, error),) = json.loads(process.communicate()[0])
    assert code == 130
    assert output.count("stopped") == 1
    assert error == "to standard error\n"
    wait_until(lambda: is_clean(project))


def test_the_server_ends_with_a_killed_repro(project):
    with running(project, "pass", "open('begun', 'w'); time.sleep(600)") as process:
        wait_until((project / "begun").exists)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: not processes_in(project))
    assert [path.name for path in (project / ".hfi").iterdir()] == [f"units-{process.pid}.socket"]
    run(project, "pass")
    wait_until(lambda: is_clean(project))  # the next server removes what was left


def test_two_at_once_have_a_server_each(project):
    with running(project, "open('begun', 'w'); time.sleep(600)") as first:
        wait_until((project / "begun").exists)
        with running(project, "pass") as second:
            (other,) = json.loads(second.communicate()[0])
        assert other[0] == 0
        assert first.poll() is None


def test_outside_of_dvc_a_command_runs_in_its_own_process(project):
    done = subprocess.run(
        [sys.executable, "unit.py", "pass"],
        cwd=project,
        env=os.environ | {"NUMBER": "7"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[1] == str(os.getpid())
    assert not (project / ".hfi").exists()


def test_where_there_can_be_no_socket_a_unit_runs_in_its_own_process(project):
    (project / ".hfi").touch()
    with running(project, "pass") as process:
        ((code, output, _),) = json.loads(process.communicate()[0])
    assert code == 0
    assert output.split()[1] == str(process.pid)


def test_the_server_imports_what_the_stages_name():
    modules = unit_server._modules_of_units()
    assert {"hfi_core.stages.generate", "hfi_core.stages.package", "mlflow.tracking"} <= set(modules)
