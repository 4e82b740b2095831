"""Every command of the README, word for word and in its order, in a project that has run and in one of one's own."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.flow_fixtures import FakeProject
from tests.support.projects import REPOSITORY
from tests.support.servers import free_port, running, wait_for

ACTIVATE = "source .venv/bin/activate"
SERVER = "mlflow ui"
MINE = Path("data/feedback/judgements.jsonl")


def commands(heading: str) -> list[str]:
    """The commands below a heading of the README, block after block."""
    return re.findall(r"^(?!#).+", "\n".join(_blocks()[heading]), re.MULTILINE)


def _blocks() -> dict[str, list[str]]:
    sections = re.split(r"^## ", (REPOSITORY / "README.md").read_text(), flags=re.MULTILINE)
    found = {part.splitlines()[0]: re.findall(r"```console\n(.*?)```", part, re.DOTALL) for part in sections}
    return {heading: blocks for heading, blocks in found.items() if blocks}


class Shell:
    """A newcomer's: the commands are in the project's `.venv` alone, and on the PATH only once that is activated."""

    def __init__(self, project: FakeProject, **environment: str):
        self.project, self.begin = project, ""
        scripts, _, rest = project.environment["PATH"].split(os.pathsep, 2)
        path = [folder for folder in rest.split(os.pathsep) if folder != str(Path(sys.executable).parent)]
        self.environment = project.environment | environment | {"PATH": os.pathsep.join(path)}
        venv.create(project.folder / ".venv", with_pip=False)
        for tool in ("hfi", "dvc", "mlflow"):
            (project.folder / ".venv/bin" / tool).symlink_to(Path(scripts) / tool)

    def type(self, command: str) -> str:
        """Run a command to its end; what it said."""
        if command == ACTIVATE:
            self.begin = f"{command} && "
        elif command.startswith(SERVER):
            return self._answered(command)
        done = subprocess.run(
            self._spelled(command), cwd=self.project.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _spelled(self, command: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", f"{self.begin}{command}"]

    def _answered(self, command: str) -> str:
        """What a server's page says; at a port of its own, since somebody may be at the usual one; with one worker."""
        port, log = free_port(), self.project.folder / "server.log"
        spelled = self._spelled(f"{command} --port {port} --workers 1")
        environment = self.environment | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with running(spelled, self.project.folder, log, environment) as server:
            wait_for(f"http://127.0.0.1:{port}/", server, log)
        return command


def test_every_command_stands_below_a_heading_that_is_tried_here():
    assert list(_blocks()) == ["Two commands", "Use the result", "With your own model"]


@pytest.mark.parametrize("command", commands("Two commands"))
def test_make_knows_the_two_commands_and_installs_where_the_readme_says(command):
    output = subprocess.run([*command.split(), "-n"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert {"make demo": "hfi run", "make test": "python -m pytest"}[command] in output
    assert re.search(r"^VENV := \.venv$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


def test_using_the_result_of_the_demo(run_by_flow, tmp_path):
    project = run_by_flow.copy(tmp_path / "project")
    shell = Shell(project)
    project.forget()
    outputs = {command: shell.type(command) for command in commands("Use the result")}
    assert "up to date" in outputs["hfi status"] and "flagged@broad" in outputs["hfi report"]
    assert len(list((project.folder / "samples").glob("anchored-*.png"))) == 1
    assert any(command.startswith(SERVER) for command in outputs)
    assert "dvc repro" in outputs and not project.ran(), "nothing was left to do"


def test_a_model_of_one_s_own(fake_project, quick):
    concepts = fake_project.params.model_dump(mode="json")["concepts"]
    fake_project.edit(
        concepts={"weapons": concepts["badge"]}, candidates__drawn={"weapons": 8},
        feedback__simulated={}, feedback__file=str(MINE),
    )  # fmt: skip
    shell = Shell(fake_project, **quick)
    shell.type(ACTIVATE)
    for command in commands("With your own model"):
        if command == f"dvc add {MINE}":
            (fake_project.folder / MINE).parent.mkdir(parents=True)
            (fake_project.folder / MINE).write_text("{}\n")
        shell.type(command)
    assert fake_project.ran()[0] == "generate@weapons" and fake_project.ran()[-1] == "package"
