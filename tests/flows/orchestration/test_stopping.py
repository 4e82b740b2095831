"""A run that is stopped, however, goes on to the same bytes, through either door."""

import os
import shutil
import signal

import pytest

from tests.support.fakes import STEPS
from tests.support.forking import REAL
from tests.support.waiting import wait_until

STAGE = ("hfi", "stage", "distill", "--unit", "anchored", "--revision", "1")


def _steps(project, address: str) -> list[str]:
    path = project.folder / "ran.log"
    return [line for line in path.read_text().splitlines() if line.startswith(address)] if path.exists() else []


def _undo(project, *paths: str) -> None:
    """Drop outputs, so that what made them is out of date."""
    for path in paths:
        shutil.rmtree(project.folder / path)


@pytest.mark.parametrize("door", [("hfi", "run", "--until", "distill"), ("dvc", "repro", "distill")])
def test_a_killed_run_goes_on_from_its_checkpoints_to_the_same_bytes(run_by_flow, tmp_path, door, quick):
    project = run_by_flow.copy(tmp_path / "project")
    _undo(project, "models/anchored")
    project.forget()
    with project.running(*STAGE, FAKE_SLOW="distill@anchored") as process:
        wait_until(lambda: len(_steps(project, "distill@anchored")) >= 2)
        process.kill()
    assert "has checkpoints to continue from" in project.hfi("status").stdout
    project.call(*door, **quick)
    assert len(_steps(project, "distill@anchored")) == STEPS, "no step was taken twice"
    assert project.outputs() == run_by_flow.project.outputs()
    assert project.lock() == run_by_flow.project.lock()
    project.hfi("status")  # after `dvc repro`, the next command of ours removes what DVC has committed
    assert not list((project.folder / ".hfi/work").iterdir())


def test_a_killed_flow_leaves_no_lock_and_goes_on(run_by_flow, tmp_path):
    project = run_by_flow.copy(tmp_path / "project")
    _undo(project, "models/anchored")
    project.forget()
    with project.running("hfi", "run", FAKE_SLOW="distill@anchored", FAKE_UNTRACKED="1", **REAL) as process:
        wait_until(lambda: len(_steps(project, "distill@anchored")) >= 2)
        process.kill()
        process.wait()
        project.hfi("run", FAKE_UNTRACKED="1")  # while the temporary server of the first one may still be there
    assert len(_steps(project, "distill@anchored")) == STEPS
    assert project.outputs() == run_by_flow.project.outputs()


def test_ctrl_c_says_how_to_go_on(run_by_flow, tmp_path):
    project = run_by_flow.copy(tmp_path / "project")
    _undo(project, "models/anchored")
    project.forget()
    with project.running("hfi", "run", FAKE_SLOW="distill@anchored", FAKE_UNTRACKED="1", **REAL) as process:
        wait_until(lambda: len(_steps(project, "distill@anchored")) >= 1)
        os.killpg(process.pid, signal.SIGINT)  # a terminal tells the whole group, Prefect's temporary server, too
        output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "Stopped. What was finished is kept; the same command continues from there." in output
    assert "Traceback" not in output
    assert "distill@anchored" in project.hfi("status").stdout


def test_a_second_hfi_waits_and_says_so(run_by_flow, tmp_path):
    project = run_by_flow.copy(tmp_path / "project")
    project.forget()
    with project.running(*STAGE, FAKE_SLOW="distill@anchored", FAKE_UNTRACKED="1") as first:
        wait_until(lambda: _steps(project, "distill@anchored"))
        second = project.hfi("stage", "distill", "--unit", "base", "--revision", "1", FAKE_UNTRACKED="1")
        assert first.wait() == 0
    assert "Another `hfi` command is running" in second.stderr
    lines = (project.folder / "ran.log").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["distill@anchored"] * STEPS + ["distill@base"] * STEPS


def test_an_earlier_output_outlives_a_failed_run(run_by_flow, tmp_path, quick):
    project = run_by_flow.copy(tmp_path / "project")
    earlier = project.outputs()
    project.edit(reward__steps=7)
    result = project.hfi("run", code=2, FAKE_MISTAKE="distill@anchored", **quick)
    assert result.stderr.count("distill@anchored was told to refuse.") == 1
    assert "Traceback" not in result.stdout + result.stderr
    kept = {path for path, content in project.outputs().items() if earlier[path] == content}
    assert {"models/anchored/content.json", "release/content.json", "reports/evaluation.json"} <= kept
    project.call("dvc", "repro", code=255, FAKE_CRASH="distill@anchored", **quick)
    assert "models/anchored/content.json" in project.outputs()


def test_a_crash_inside_the_flow_is_exit_1_and_short(run_by_flow, tmp_path, quick):
    project = run_by_flow.copy(tmp_path / "project")
    _undo(project, "models/anchored")
    result = project.hfi("run", code=1, FAKE_CRASH="distill@anchored", **quick)
    assert "Failed: RuntimeError: distill@anchored was told to crash." in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_checkpoints_under_earlier_params_go_when_the_unit_is_done(fake_project):
    work = fake_project.folder / ".hfi/work"
    for name in ("generate@badge-" + "0" * 16, "generate@badge-two-" + "0" * 16):
        (work / name).mkdir(parents=True)
    fake_project.hfi("run", "--until", "generate", FAKE_UNTRACKED="1")
    assert os.listdir(work) == ["generate@badge-two-" + "0" * 16]  # noqa: PTH208 - names are what is compared


def test_a_run_that_takes_too_long_is_stopped_and_the_next_goes_on(fake_project, quick):
    run = "from tests.support.deployed import safeguard; safeguard(until='generate', hours={hours})"
    slow = quick | {"FAKE_SLOW": "generate@badge"}
    late = fake_project.call("python", "-c", run.format(hours=1.5 / 3600), code=1, **slow)
    assert "timed out" in late.stdout + late.stderr
    assert not (fake_project.folder / "candidates/badge").exists()
    fake_project.call("python", "-c", run.format(hours=1), **quick)
    assert (fake_project.folder / "candidates/badge").exists()
    assert len(_steps(fake_project, "generate@badge")) == STEPS, "no step was taken twice"
