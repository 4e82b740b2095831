"""The container files are well formed, and what they start is there."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.projects import REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
BIN = Path(sys.executable).parent
INSTRUCTIONS = {"FROM", "ARG", "RUN", "WORKDIR", "COPY", "USER", "ENV", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, comments gone and continued lines joined."""
    text = (REPOSITORY / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a top-level path out: the last pattern that matches decides."""
    out = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if line in ("*", path):
            out = True
        elif line == f"!{path}":
            out = False
    return out


def test_the_dockerfile_uses_known_instructions_in_a_sensible_order():
    names = [name for name, _ in instructions()]
    assert set(names) <= INSTRUCTIONS and names[0] == "FROM"
    assert names[-2:] == ["ENTRYPOINT", "CMD"]
    assert dict(instructions())["ENTRYPOINT"] == '["hfi"]'


def test_the_image_runs_as_nobody_special_and_pins_its_packages():
    found = instructions()
    users = [argument for name, argument in found if name == "USER"]
    assert users == ["hfi"]
    installs = [argument for name, argument in found if name == "RUN" and "pip install" in argument]
    assert installs and all("-c constraints.txt" in argument for argument in installs)
    last_root = max(n for n, (name, _) in enumerate(found) if name == "RUN")
    assert last_root < [name for name, _ in found].index("USER")


def test_every_shell_line_of_the_dockerfile_parses():
    for name, argument in instructions():
        if name == "RUN":
            subprocess.run(["bash", "-n", "-c", argument], check=True)
            assert shlex.split(argument)


def test_everything_that_is_copied_exists_and_reaches_the_build():
    for name, argument in instructions():
        if name == "COPY":
            for source in argument.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert not ignored(source), source


def test_what_packaging_reads_is_copied():
    copied = {source for name, argument in instructions() if name == "COPY" for source in argument.split()[:-1]}
    assert {"pyproject.toml", "README.md", "LICENSE", "hfi_core", "flows"} <= copied


@pytest.mark.parametrize("path", [".git", ".venv", ".hfi", "candidates", "release", "mlflow.db", "data"])
def test_neither_data_nor_history_reaches_the_build(path):
    assert ignored(path)


def test_the_services_refer_to_what_is_there():
    services = COMPOSE["services"]
    assert set(services) == {"mlflow", "prefect", "run"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source == "." or source in COMPOSE["volumes"]
    assert services["run"]["environment"]["PREFECT_API_URL"] == "http://prefect:4200/api"


def test_servers_without_a_password_are_reached_from_this_machine_only():
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", ["mlflow", "prefect", "run"])
def test_the_start_commands_exist_and_know_their_options(name):
    service = COMPOSE["services"][name]
    program = service.get("entrypoint", ["hfi"])[0]
    command = [part for part in service["command"] if not part.startswith("-")]
    assert shutil.which(program, path=BIN), f"{program} is not installed"
    shown = subprocess.run(
        [BIN / program, *command, "--help"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    for part in service["command"]:
        if part.startswith("--"):
            assert part.split("=")[0] in shown.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_mlflow_server_starts_with_these_options_and_is_healthy(tmp_path):
    port = free_port()
    place = {"/home/hfi/mlflow": str(tmp_path), "5000": str(port), "0.0.0.0": "127.0.0.1"}
    command = COMPOSE["services"]["mlflow"]["command"]
    for old, new in place.items():
        command = [part.replace(old, new) for part in command]
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(
        [BIN / "mlflow", *command, "--workers=1"], cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
    )
    try:
        assert answers(f"http://127.0.0.1:{port}/health", server, seconds=120), (tmp_path / "log").read_text()
    finally:
        stop(server)
        log.close()


def answers(address: str, server: subprocess.Popen, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            time.sleep(0.5)
    return False


def stop(server: subprocess.Popen) -> None:

    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
