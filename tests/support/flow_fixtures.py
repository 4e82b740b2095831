"""Projects on the small graph, each a git and DVC repository with an `hfi` of its own on the PATH."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from flows.tracking.relocation import relocate
from hfi_core.pipeline import graph as declaration
from tests.support import fakes
from tests.support.forking import environment_with
from tests.support.once import once
from tests.support.projects import REPOSITORY, Project, default_raw, write_raw
from tests.support.promoted import Registry, forget_engines
from tests.support.servers import free_port, prefect_server

REAL_GRAPH = "hfi-with-the-real-graph"


@dataclass(frozen=True)
class FakeProject(Project):
    """A project's folder, with ways to call commands in it as a user would."""

    environment: dict[str, str] = field(default_factory=dict)

    def call(self, *command: str, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess:
        """Run a command in the project; it must end with `code`."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )
        if code is not None:
            assert done.returncode == code, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def hfi(self, *arguments: str, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess:
        """Run `hfi` in the project."""
        return self.call("hfi", *arguments, code=code, **environment)

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[subprocess.Popen]:
        """Start a command in a process group of its own, as a terminal does; what is left of it ends with the block."""
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment | environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            # Where the tests themselves run in the background, Ctrl-C is ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()

    def lock(self) -> dict:
        """`dvc.lock`, parsed: its order is the order of first execution."""
        return yaml.safe_load((self.folder / "dvc.lock").read_text())

    def outputs(self) -> dict[str, bytes]:
        """The bytes of every output of the graph."""
        tops = ("candidates", "feedback", "labels", "models", "reports", "release")
        files = (path for top in tops for path in (self.folder / top).rglob("*") if path.is_file())
        found = {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}
        found.pop("reports/cost.json", None)
        return found

    def ran(self) -> list[str]:
        """The units whose stages really took steps, in order."""
        path = self.folder / "ran.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return list(dict.fromkeys(line.split()[0] for line in lines))

    def forget(self) -> None:
        """Begin a new record of what runs."""
        (self.folder / "ran.log").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory, forked) -> Callable[[Path], str]:
    """Makes a folder a home for Prefect that has a database: making its tables takes five seconds."""

    def make(folder: Path) -> None:
        command = ["prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(command, env=forked | {"PREFECT_HOME": str(folder)}, check=True, capture_output=True)

    made = once(tmp_path_factory, "prefect", make)
    return lambda folder: str(shutil.copytree(made, folder, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def fake_environment(tmp_path_factory, forks, prefect_home) -> dict[str, str]:
    """An environment in which `hfi` is the one with the small graph, and Prefect has a home of the tests' own."""
    commands = {
        "hfi": "tests.support.fakes:main",
        REAL_GRAPH: "flows.cli.main:main",
        "tend-once": "tests.support.deployed:tend_once",
    }
    variables = environment_with(tmp_path_factory.mktemp("bin"), forks, **commands)
    variables.pop("PREFECT_API_URL", None)
    return variables | {
        "PREFECT_HOME": prefect_home(tmp_path_factory.mktemp("prefect")),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.org",
        "GIT_COMMITTER_NAME": "Test", "GIT_COMMITTER_EMAIL": "test@example.org",
    }  # fmt: skip


def small_params() -> dict:
    """Params with one concept and two rows."""
    raw = default_raw()
    raw["removals"] = {row: raw["removals"][row] for row in ("base", "anchored")}
    raw["release"]["gates"] = {"flagged@broad": {"at_most": 0.1, "of_base": True}}
    return raw


@pytest.fixture(scope="session")
def _template(tmp_path_factory, fake_environment) -> Path:
    return once(tmp_path_factory, "template", lambda folder: _begin(FakeProject(folder, fake_environment)))


def _begin(project: FakeProject) -> None:
    folder = project.folder
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, folder / name)
    with (folder / ".gitignore").open("a") as stream:
        stream.write("/ran.log\n")
    shutil.copytree(REPOSITORY / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache", "config.local"))
    write_raw(folder, small_params())
    project.call("git", "init", "-q")
    project.hfi("params", "sync")
    project.call("git", "add", "-A")
    project.call("git", "commit", "-qm", "Begin")
    # Or each run would make its own.
    project.call("python", "-m", "mlflow", "db", "upgrade", f"sqlite:///{folder}/mlflow.db")


def clone_project(template: Path, folder: Path, environment: dict[str, str]) -> FakeProject:
    """Copy a project, and point MLflow's records to the copy."""
    project = FakeProject(Path(shutil.copytree(template, folder)), environment)
    with working_in(folder):
        relocate(project.params)
    return project


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Have this process work in a folder for the duration of a block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture
def fake_project(_template, tmp_path, fake_environment) -> FakeProject:
    """One fresh project on the small graph, with nothing run yet."""
    return clone_project(_template, tmp_path / "project", fake_environment)


@dataclass(frozen=True)
class Ran:
    """A project that was run, and what the command said. Look, and copy before you change it."""

    project: FakeProject
    result: subprocess.CompletedProcess

    def copy(self, folder: Path) -> FakeProject:
        """A copy to change."""
        return clone_project(self.project.folder, folder, self.project.environment)


def _ran(name: str, command: tuple[str, ...], template: Path, folders, environment: dict[str, str]) -> Ran:
    """A copy for this process of a project in which a command has run: two processes would meet at its locks."""

    def make(folder: Path) -> None:
        result = clone_project(template, folder / "project", environment).call(*command)
        (folder / "result.json").write_text(json.dumps([result.args, result.returncode, result.stdout, result.stderr]))

    made = once(folders, name, make)
    result = subprocess.CompletedProcess(*json.loads((made / "result.json").read_text()))
    return Ran(clone_project(made / "project", folders.mktemp(name) / "project", environment), result)


@pytest.fixture(scope="session")
def run_by_flow(_template, tmp_path_factory, fake_environment) -> Ran:
    """A fresh clone after `hfi run`, with no Prefect server running."""
    return _ran("flow", ("hfi", "run"), _template, tmp_path_factory, fake_environment)


@pytest.fixture(scope="session")
def run_by_dvc(_template, tmp_path_factory, fake_environment) -> Ran:
    """A fresh clone after `dvc repro`."""
    return _ran("dvc", ("dvc", "repro"), _template, tmp_path_factory, fake_environment)


@pytest.fixture
def inside(fake_project, monkeypatch) -> FakeProject:
    """A fresh project that this process works in."""
    work_in(fake_project, monkeypatch)
    return fake_project


def work_in(project: FakeProject, patch: pytest.MonkeyPatch) -> None:
    """Have this process work in a project, on the small graph."""
    patch.setattr(declaration, "STAGES", fakes.STAGES)
    patch.chdir(project.folder)


@pytest.fixture(scope="module")
def _three_versions(_template, fake_environment, tmp_path_factory):
    """Versions 1 and 2 pass; 3 fails its gate."""
    folder = tmp_path_factory.mktemp("registry") / "project"
    project = FakeProject(Path(shutil.copytree(_template, folder)), fake_environment)
    (folder / "reports").mkdir()
    project.edit(publish__to="published", tracking__mlflow=f"sqlite:///{project.folder}/mlflow.db")
    previous = Path.cwd()
    os.chdir(project.folder)
    try:
        made = Registry(project)
        made.add(1), made.add(2, flagged=3), made.add(3, flagged=30)
    finally:
        os.chdir(previous)
    return project


@pytest.fixture
def registry(_three_versions, monkeypatch):
    """A registry whose database, publications, params and mark are put back after each test; artifacts stay."""
    folder = _three_versions.folder
    monkeypatch.chdir(folder)
    names = ("mlflow.db", "params.yaml", "operations.yaml", ".hfi/registered.json")
    contents = {name: (folder / name).read_bytes() for name in names}
    yield Registry(_three_versions)
    forget_engines()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    shutil.rmtree(folder / "published", ignore_errors=True)


@pytest.fixture(scope="session")
def server(prefect_home, tmp_path_factory, fake_environment) -> Iterator[str]:
    """A real Prefect server; its API's address."""
    home, port = tmp_path_factory.mktemp("server"), free_port()
    prefect_home(home)
    with prefect_server(home, fake_environment, port):
        yield f"http://127.0.0.1:{port}/api"


@pytest.fixture
def quick(server) -> dict[str, str]:
    """Environment for runs whose server and tracking are not what is tested."""
    return {"PREFECT_API_URL": server, "FAKE_UNTRACKED": "1"}
