"""A long stage that is killed at any moment ends in the same bytes when it is run again."""

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.loop import bytes_below, run_through, units
from tests.projects import Project, write_project

LONG = ("generate@badge", "invert@badge", "distill@anchored", "attack@anchored", "evaluate@anchored")

_RUN = textwrap.dedent(
    """
    import sys
    import hfi_core.fitting, hfi_core.stage
    from flows.execution import run_unit
    from hfi_core.params import read_params
    from pathlib import Path
    params = read_params(Path("params.yaml"))
    unit = next(u for u in hfi_core.stage.units_of(params) if u.address == sys.argv[1])
    run_unit(unit, params, also=lambda done, total, what: print("progress", flush=True))
    """
)


@pytest.fixture(scope="module")
def finished(miniature, tmp_path_factory) -> Project:
    """A small project whose whole loop has run once; steps enough for a checkpoint inside each fit."""
    project = write_project(tmp_path_factory.mktemp("killed") / "project", miniature)
    project.edit(
        invert__steps=60, invert__batch=1, attack__steps=60, attack__batch=1, removals__anchored__steps=24,
        removals__anchored__batch=1, removals__anchored__reinvert_steps=55,
    )  # fmt: skip
    removals = project.params.model_dump(mode="json")["removals"]
    project.edit(removals={row: removals[row] for row in ("base", "anchored")})
    run_through(project, until="evaluate")
    return project


def _start(project: Project, address: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, address], cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "2"}, text=True,
    )  # fmt: skip


def _kill_after(process: subprocess.Popen, events: int) -> bool:
    """Kill -9 at the n-th sign of progress; False if the process had come to its end before."""
    for _ in range(events):
        if not process.stdout.readline():
            break
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _survives(finished: Project, tmp_path: Path, address: str, kills: int) -> None:
    project = Project(tmp_path / "project")
    shutil.copytree(finished.folder, project.folder)
    unit = next(u for u in units(project) if u.address == address)
    outputs = list(unit.outputs.values())
    whole = {path.removeprefix(str(project.folder)): digest for path, digest in bytes_below(*outputs).items()}
    rng = random.Random(address)
    for _ in range(kills):
        for path in outputs:
            shutil.rmtree(path, ignore_errors=True)  # there again where a run came to its end before its kill
        process = _start(project, address)
        if not _kill_after(process, rng.randint(1, 12)):
            assert process.returncode == 0, process.stderr.read()
            continue
        assert not any(path.exists() for path in outputs), "a killed stage left an output"
    process = _start(project, address)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert {path.removeprefix(str(project.folder)): d for path, d in bytes_below(*outputs).items()} == whole


@pytest.mark.parametrize("address", LONG)
def test_a_killed_stage_goes_on_to_the_same_bytes(finished, tmp_path, address):
    _survives(finished, tmp_path, address, kills=2)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("address", LONG)
def test_a_stage_killed_twenty_times_goes_on_to_the_same_bytes(finished, tmp_path, address):
    _survives(finished, tmp_path, address, kills=20)
