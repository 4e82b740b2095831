"""The flow and `dvc repro` leave the same bytes, and each finds nothing to do after the other."""

import shutil
from pathlib import Path

import pytest

from tests.support.flow_fixtures import FakeProject
from tests.support.projects import REPOSITORY


def test_hfi_run_and_dvc_repro_leave_the_same_bytes_and_the_same_lock(run_by_flow, run_by_dvc):
    assert run_by_flow.project.outputs() == run_by_dvc.project.outputs()
    assert run_by_flow.project.outputs(), "there is something to compare"
    assert run_by_flow.project.lock() == run_by_dvc.project.lock()


def test_after_the_flow_dvc_finds_nothing_to_do(run_by_flow, tmp_path):
    project = run_by_flow.copy(tmp_path / "project")
    assert "up to date" in project.call("dvc", "status").stdout
    project.forget()
    project.call("dvc", "repro")
    assert project.ran() == []


def test_after_dvc_the_flow_only_registers_and_then_finds_nothing_to_do(run_by_dvc, tmp_path):
    project = run_by_dvc.copy(tmp_path / "project")
    project.forget()
    assert "registered as emblems-safeguarded version 1" in project.hfi("run").stdout
    assert project.ran() == []
    assert "Nothing to do" in project.hfi("run").stdout
    assert "up to date" in project.call("dvc", "status").stdout


def test_git_is_clean_but_for_the_lock_of_dvc(run_by_flow, run_by_dvc):
    for ran in (run_by_flow, run_by_dvc):
        assert ran.project.call("git", "status", "--porcelain").stdout == "?? dvc.lock\n"


def test_only_what_changed_runs_again(run_by_flow, tmp_path, quick):
    project = run_by_flow.copy(tmp_path / "project")
    project.forget()
    project.edit(reward__steps=401)
    output = project.hfi("status").stdout
    assert "reward.steps modified" in output
    assert "may follow" in output
    project.hfi("run", "--until", "compare", **quick)
    assert project.ran() == ["distill@base", "distill@anchored", "compare"]


def test_units_with_unchanged_inputs_do_not_run_again(run_by_flow, tmp_path, quick):
    project = run_by_flow.copy(tmp_path / "project")
    project.forget()
    project.edit(feedback__minimum=1)  # another label file would be written, but the fake one says the same
    project.hfi("run", "--until", "compare", **quick)
    assert project.ran() == ["ingest@badge"]


def test_metrics_plots_and_experiments_of_dvc_work(run_by_dvc, tmp_path):
    project = run_by_dvc.copy(tmp_path / "project")
    project.call("git", "add", "dvc.lock")
    project.call("git", "commit", "-qm", "Results")
    assert "reports/metrics.json" in project.call("dvc", "metrics", "show").stdout
    project.call("dvc", "metrics", "diff")
    page = project.call("dvc", "plots", "show", "-o", "plots").stdout
    assert "index.html" in page
    output = project.call("dvc", "exp", "run", "-S", "reward.steps=7", FAKE_UNTRACKED="1")
    assert "exp" in output.stdout + output.stderr
    assert project.params.reward.steps == 7
    assert "up to date" in project.call("dvc", "status").stdout


@pytest.fixture
def with_files(fake_project):
    """A project with the repository's own settings: a merge key, operations apart, prompts in files."""
    shutil.copytree(REPOSITORY / "prompts", fake_project.folder / "prompts")
    for name in ("params.yaml", "operations.yaml"):
        shutil.copy(REPOSITORY / name, fake_project.folder / name)
    fake_project.hfi("params", "sync")
    fake_project.call("git", "add", "-A")
    fake_project.call("git", "commit", "-qm", "Take the repository's settings")
    return fake_project


def test_an_experiment_sets_keys_beside_a_merge_key_and_a_file_of_prompts(with_files, tmp_path, quick):
    project = with_files
    before = project.params.model_dump(mode="json")
    changes = ("-S", "removals.sdd-text.rate=2e-4", "-S", "evaluate.suites.broad.pictures=10")
    project.call("dvc", "exp", "run", *changes, FAKE_UNTRACKED="1")
    before["removals"]["sdd-text"]["rate"] = 2e-4
    before["evaluate"]["suites"]["broad"]["pictures"] = 10
    assert project.params.model_dump(mode="json") == before
    assert "up to date" in project.call("dvc", "status").stdout

    with (project.folder / "prompts/broad.txt").open("a") as stream:
        stream.write("a teal badge\n")
    other = FakeProject(Path(shutil.copytree(project.folder, tmp_path / "other")), project.environment)
    assert "prompts/broad.txt" in project.call("dvc", "status").stdout
    assert "prompts/broad.txt modified" in project.hfi("status").stdout
    project.forget()
    project.hfi("run", "--until", "compare", **quick)
    assert project.ran() == ["compare"]
    other.call("dvc", "repro", "compare", FAKE_UNTRACKED="1")
    assert project.outputs() == other.outputs()
    assert project.lock() == other.lock()

    project.edit(tracking__experiment="another")
    assert "up to date" in project.call("dvc", "status", "compare").stdout
