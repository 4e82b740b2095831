"""The record of a deployed run: data first, then one commit on a branch of its own, unnoticed by who works here."""

import shutil
from pathlib import Path

import pytest

from flows.versioning.results_branch import record_results, require_recordable
from hfi_core.errors import UserError
from hfi_core.pipeline import graph as declaration
from tests.support import fakes
from tests.support.flow_fixtures import FakeProject

BRANCH = "hfi/results"


@pytest.fixture
def recorded(run_by_dvc, tmp_path, monkeypatch) -> FakeProject:
    """A project that was run, with a DVC remote and records asked for; this process works in it."""
    project = run_by_dvc.copy(tmp_path / "project")
    project.call("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    project.edit(versioning={"commit": "branch", "branch": BRANCH, "push": "store"})
    project.call("git", "commit", "-qam", "Ask for records")
    monkeypatch.setattr(declaration, "STAGES", fakes.STAGES)
    monkeypatch.chdir(project.folder)
    for name in ("NAME", "EMAIL"):
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_{name}", project.environment[f"GIT_{role}_{name}"])
    return project


def git(project: FakeProject, *arguments: str) -> str:
    return project.call("git", *arguments).stdout


def commits(project: FakeProject) -> list[str]:
    return git(project, "log", "--first-parent", "--format=%s", BRANCH).splitlines()


def pulled(recorded: FakeProject, folder: Path) -> FakeProject:
    """A clone of the branch with its data: all that was there, and nothing to do."""
    clone = FakeProject(folder, recorded.environment)
    recorded.call("git", "clone", "-q", "--branch", BRANCH, str(recorded.folder), str(clone.folder))
    clone.call("dvc", "pull")
    assert clone.outputs() == recorded.outputs()
    assert "up to date" in clone.call("dvc", "status").stdout
    return clone


def test_a_clone_of_the_branch_pulls_every_output_and_finds_nothing_to_do(recorded, tmp_path):
    assert record_results(recorded.params, "night").commit
    assert "Hfi-Run: night" in git(pulled(recorded, tmp_path / "clone"), "log", "-1")


def test_what_people_have_under_way_stays_as_it_is(recorded):
    (recorded.folder / "staged.txt").write_text("staged")
    (recorded.folder / "loose.txt").write_text("loose")
    (recorded.folder / ".gitignore").write_text((recorded.folder / ".gitignore").read_text() + "# edited\n")
    git(recorded, "add", "staged.txt")
    before = git(recorded, "status", "--porcelain", "--branch"), git(recorded, "rev-parse", "HEAD")
    index = (recorded.folder / ".git/index").read_bytes()
    record_results(recorded.params, "night")
    assert (recorded.folder / ".git/index").read_bytes() == index
    assert (git(recorded, "status", "--porcelain", "--branch"), git(recorded, "rev-parse", "HEAD")) == before
    assert git(recorded, "diff", "--name-only", "HEAD", BRANCH) == "dvc.lock\n"


def test_the_same_state_is_committed_once_and_another_one_on_top_of_it(recorded):
    first = record_results(recorded.params, "one").commit
    assert record_results(recorded.params, "two").commit is None
    git(recorded, "commit", "-q", "--allow-empty", "-m", "Something else")
    assert record_results(recorded.params, "three").commit is None, "the state is the same"
    recorded.edit(seed=1)
    with (recorded.folder / "dvc.lock").open("a") as stream:
        stream.write("# as if more had been run\n")
    second = record_results(recorded.params, "four").commit
    assert git(recorded, "log", "-1", "--format=%P", second).split() == [
        first,
        git(recorded, "rev-parse", "HEAD").strip(),
    ]
    assert "Hfi-Uncommitted: params.yaml" in git(recorded, "log", "-1", second)
    assert commits(recorded)[:2] == ["Record results of emblems"] * 2
    assert (recorded.folder / "dvc.lock").read_text() == git(recorded, "show", f"{BRANCH}:dvc.lock")


def test_params_that_nobody_committed_and_the_snapshot_s_dvc_file_are_recorded_with_the_lock(recorded, tmp_path):
    file = recorded.folder / "data/feedback/people.jsonl"
    file.parent.mkdir(parents=True)
    shutil.move(recorded.folder / "feedback/simulated.jsonl", file)  # no unit makes one any more
    recorded.call("dvc", "add", "data/feedback/people.jsonl")
    rows = recorded.params.model_dump(mode="json")["removals"]
    more = {"feedback__file": "data/feedback/people.jsonl", "feedback__simulated": {}}
    recorded.edit(removals=rows | {"another": rows["anchored"]}, **more)
    recorded.hfi("params", "sync")
    recorded.call("dvc", "repro")
    record_results(recorded.params, "night")
    changed = git(recorded, "diff", "--name-only", "HEAD", BRANCH).split()
    assert changed == ["data/feedback/people.jsonl.dvc", "dvc.lock", "dvc.yaml", "params.yaml"]
    assert (pulled(recorded, tmp_path / "clone").folder / "models/another/content.json").exists()


def test_params_that_hold_a_password_are_refused_before_anything_runs(recorded):
    recorded.edit(tracking__mlflow="http://ana:hidden@mlflow.example.org")
    with pytest.raises(UserError, match=r"operations.yaml holds a password.*remove it") as refused:
        require_recordable(recorded.params.versioning)
    assert "hidden" not in str(refused.value)
    with pytest.raises(UserError, match="holds a password"):
        record_results(recorded.params, "night")
    assert git(recorded, "branch", "--list", BRANCH) == ""


def test_a_project_in_a_folder_of_a_repository_is_recorded_at_its_place(recorded, tmp_path, monkeypatch):
    outer = tmp_path / "outer"
    shutil.copytree(recorded.folder, outer / "inner", ignore=shutil.ignore_patterns(".git"))
    project = FakeProject(outer / "inner", recorded.environment)
    recorded.call("git", "init", "-q", str(outer))
    project.call("dvc", "config", "core.no_scm", "true")
    git(project, "add", "params.yaml", "operations.yaml", "dvc.yaml")
    git(project, "commit", "-qm", "Begin")
    monkeypatch.chdir(project.folder)
    assert record_results(project.params, "night").commit
    assert git(project, "diff", "--name-only", "HEAD", BRANCH) == "inner/dvc.lock\n"


@pytest.mark.parametrize("harm", ["remote", "file", "list of a folder"])
def test_without_the_data_in_the_remote_nothing_is_committed(recorded, tmp_path, harm):
    if harm == "remote":
        (tmp_path / "store").write_text("a file where a folder should be")
    else:
        cached = (recorded.folder / ".dvc/cache/files/md5").rglob("*")
        next(path for path in cached if path.is_file() and (path.suffix == ".dir") == (harm != "file")).unlink()
    with pytest.raises(UserError, match="DVC remote 'store'"):
        record_results(recorded.params, "night")
    assert git(recorded, "branch", "--list", BRANCH) == ""


def test_a_branch_that_is_checked_out_or_somebody_s_is_refused_before_anything_runs(recorded, tmp_path):
    git(recorded, "worktree", "add", "-q", "-b", BRANCH, str(tmp_path / "other"))
    with pytest.raises(UserError, match="checked out"):
        require_recordable(recorded.params.versioning)
    other = FakeProject(tmp_path / "other", recorded.environment)
    git(other, "commit", "-q", "--allow-empty", "-m", "Mine")
    git(recorded, "worktree", "remove", str(tmp_path / "other"))
    with pytest.raises(UserError, match="not a record of this pipeline"):
        require_recordable(recorded.params.versioning)
    assert commits(recorded)[0] == "Mine"


def test_an_account_that_git_does_not_know_records_too(recorded, monkeypatch):
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(recorded.folder / "nobody"))
    git(recorded, "config", "user.useConfigOnly", "true")
    assert record_results(recorded.params, "night").commit
    assert git(recorded, "log", "-1", "--format=%cn", BRANCH) == "HFI pipeline\n"


def test_a_project_that_asks_for_none_gets_none(recorded):
    recorded.edit(versioning__commit="none")
    assert record_results(recorded.params, "night") is None
    assert git(recorded, "branch", "--list", BRANCH) == ""
    assert Path("dvc.lock").exists()
