"""The whole loop on disks that fill up, and killed inside DVC's commits, ends in the bytes of an undisturbed run."""

import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.flow_fixtures import FakeProject, clone_project
from tests.support.loop import bytes_below, write_feedback
from tests.support.projects import REPOSITORY, write_project
from tests.support.small_disk import resize, small_disk

PAGE = 2**12
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Undisturbed:
    """A project in which nothing has run, and a copy of it in which everything has, without a fault."""

    fresh: FakeProject
    done: FakeProject

    def outputs(self, project: FakeProject) -> dict[str, str]:
        """Digests of what a project has of all outputs."""
        paths = [project.folder / out["path"] for stage in self.done.lock()["stages"].values() for out in stage["outs"]]
        return bytes_below(*paths, named_from=project.folder)

    def require_same(self, project: FakeProject) -> None:
        """Require of a project that is up to date the same bytes, and that both DVC and the flow know it."""
        assert self.outputs(project) == self.outputs(self.done)
        assert project.lock()["stages"] == self.done.lock()["stages"]
        assert "up to date" in project.call("dvc", "status").stdout


@pytest.fixture(scope="module")
def miniature_loop(miniature, tmp_path_factory, fake_environment, forked, server) -> Undisturbed:
    """The real graph on the miniature model."""
    base = tmp_path_factory.mktemp("loop")
    fresh = FakeProject(base / "fresh", fake_environment | {"PATH": forked["PATH"], "PREFECT_API_URL": server})
    write_project(fresh.folder, miniature)
    fresh.keep("base", "anchored")
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, fresh.folder / name)
    ignored = shutil.ignore_patterns("tmp", "cache", "config.local")
    shutil.copytree(REPOSITORY / ".dvc", fresh.folder / ".dvc", ignore=ignored)
    fresh.call("git", "init", "-q")
    fresh.hfi("params", "sync")
    fresh.call("python", "-m", "mlflow", "db", "upgrade", f"sqlite:///{fresh.folder}/mlflow.db")
    done = clone_project(fresh.folder, base / "done", fresh.environment)
    done.hfi("run", "--until", "generate")
    write_feedback(done.folder, done.params)
    shutil.copytree(done.folder / "data", fresh.folder / "data")
    done.hfi("run")
    return Undisturbed(fresh, done)


def _pages(folder: Path) -> int:
    """Bytes that a folder takes on a disk of whole pages."""
    return sum(-(path.stat().st_size // -PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


def _fill_disks(undisturbed: Undisturbed, disk: Path, shares: list[float]) -> None:
    """Run on a disk with room for a share of what a run writes, then for the next one, and then for all."""
    project = clone_project(undisturbed.fresh.folder, disk / "project", undisturbed.fresh.environment)
    used = _pages(project.folder)
    needed = _pages(undisturbed.done.folder) - used
    for share in shares:
        resize(disk, max(used + round(share * needed), shutil.disk_usage(disk).used))
        said = project.hfi("run", code=2).stderr
        assert "Traceback" not in said
        errors = [line for line in said.splitlines() if line.startswith(("Error: ", "Failed: "))]
        assert len(errors) == 1 and "disk is full" in errors[0], said
        assert undisturbed.outputs(project).items() <= undisturbed.outputs(undisturbed.done).items(), said
        assert not list(project.folder.rglob("*.part"))
    resize(disk, 100 * MEBIBYTE)
    assert "version 1, alias candidate" in project.hfi("run").stdout
    undisturbed.require_same(project)
    assert "Nothing to do" in project.hfi("run").stdout


@pytest.fixture
def disk(tmp_path):
    """A disk that a test makes smaller."""
    with small_disk(tmp_path / "disk", 100 * MEBIBYTE) as folder:
        yield folder


def test_a_run_on_disks_that_fill_up_goes_on_with_the_same_command(_template, run_by_flow, quick, disk):
    fresh = FakeProject(_template, run_by_flow.project.environment | {"PREFECT_API_URL": quick["PREFECT_API_URL"]})
    _fill_disks(Undisturbed(fresh, run_by_flow.project), disk, [0.1, 0.4, 0.8])


@pytest.mark.soak
def test_the_miniature_loop_on_disks_of_twelve_sizes_goes_on_with_the_same_command(miniature_loop, disk):
    _fill_disks(miniature_loop, disk, sorted(0.9 * 0.55**number for number in range(12)))


@pytest.mark.soak
@pytest.mark.parametrize("command", [("hfi", "run"), ("dvc", "repro")], ids=" ".join)
def test_the_miniature_loop_killed_twenty_times_inside_dvc_s_commits_goes_on(miniature_loop, tmp_path, command):
    rng = random.Random(27)
    project = clone_project(miniature_loop.fresh.folder, tmp_path / "project", miniature_loop.fresh.environment)
    for number in range(20):
        at = 1 + (number % 3 == 2)
        killed = project.call(
            "python", "-m", "tests.support.dvc_killed", str(at), str(rng.random()), *command, code=None
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        project.hfi("status")
        assert miniature_loop.outputs(project).items() <= miniature_loop.outputs(miniature_loop.done).items()
    project.call(*command)
    miniature_loop.require_same(project)
