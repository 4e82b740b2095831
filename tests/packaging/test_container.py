"""The container files are pinned, without root and without secrets.

`tests/integration/test_stack.py` starts what they start.
"""

import re
import shlex
import subprocess
import sys

import pytest
import yaml

from tests.support.projects import REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OTHERS = {"postgres", "s3"}
"""Services whose images are not ours."""
INSTRUCTIONS = {"FROM", "ARG", "RUN", "WORKDIR", "COPY", "USER", "ENV", "ENTRYPOINT", "CMD"}
PINNED = re.compile(r"[a-z0-9/]+:\d+\.\d+(\.\d+)?(-[a-z0-9-]+)?")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, comments gone and continued lines joined."""
    text = (REPOSITORY / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def final_stage() -> list[tuple[str, str]]:
    """The instructions after the last FROM."""
    found = instructions()
    return found[max(n for n, (name, _) in enumerate(found) if name == "FROM") + 1 :]


def copied() -> list[str]:
    """What is copied out of the repository."""
    arguments = [argument for name, argument in instructions() if name == "COPY" and "--from" not in argument]
    return [source for argument in arguments for source in argument.split()[:-1]]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a top-level path out: the last pattern that matches decides."""
    out = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if line in ("*", path):
            out = True
        elif line == f"!{path}":
            out = False
    return out


def test_the_dockerfile_uses_known_instructions_in_two_stages():
    names = [name for name, _ in instructions()]
    assert set(names) <= INSTRUCTIONS and names[:2] == ["ARG", "FROM"] and names.count("FROM") == 2
    assert names[-2:] == ["ENTRYPOINT", "CMD"]
    assert dict(final_stage())["ENTRYPOINT"] == '["hfi"]'


def test_every_base_image_is_pinned():
    arguments = dict(argument.split("=", 1) for name, argument in instructions() if name == "ARG")
    for name, argument in instructions():
        if name == "FROM":
            assert PINNED.fullmatch(arguments[argument.split()[0].strip("${}")])
    for name in OTHERS:
        assert PINNED.fullmatch(SERVICES[name]["image"]), name
    assert {name for name, service in SERVICES.items() if "image" in service} == OTHERS


def test_the_image_runs_as_nobody_special_and_holds_no_build_tools():
    found = final_stage()
    names = [name for name, _ in found]
    assert [argument for name, argument in found if name == "USER"] == ["hfi"]
    assert names.index("USER") > max(n for n, name in enumerate(names) if name in ("RUN", "COPY"))
    assert [argument for name, argument in found if name == "COPY"] == ["--from=build /opt/hfi /opt/hfi"]


def test_every_package_is_pinned_and_the_variant_is_an_argument():
    installs = [argument for name, argument in instructions() if name == "RUN" and "pip install" in argument]
    assert installs and all("-c constraints.txt" in argument for argument in installs)
    assert ("ARG", 'TORCH_INDEX=""') in instructions() and all("TORCH_INDEX" in argument for argument in installs)


def test_a_user_whom_the_image_does_not_know_has_a_name():
    """HFI_USER is any number, and Python asks for the name of who promotes."""
    variables = dict(word.split("=", 1) for word in shlex.split(dict(final_stage())["ENV"]))
    program = "import getpass, os; os.getuid = lambda: 2**31 - 2; print(getpass.getuser())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"LOGNAME": variables["LOGNAME"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "hfi\n"


def test_every_shell_line_of_the_dockerfile_parses():
    for name, argument in instructions():
        if name == "RUN":
            subprocess.run(["bash", "-n", "-c", argument], check=True)
            assert shlex.split(argument)


@pytest.mark.parametrize("index", ["", "ADDRESS"])
def test_the_variant_s_argument_reaches_pip_where_it_is_given(index):
    (line,) = [argument for name, argument in instructions() if name == "RUN" and "pip install" in argument]
    words = line.partition("pip install")[2]
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {words}"],
        env={"TORCH_INDEX": index},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert ("--extra-index-url" in shown) == bool(index) and shown[-1] == ".[postgres]"


def test_everything_that_is_copied_exists_and_reaches_the_build():
    for source in copied():
        assert (REPOSITORY / source).exists(), source
        assert not ignored(source), source


def test_what_packaging_reads_is_copied():
    assert {"pyproject.toml", "README.md", "LICENSE", "hfi_core", "flows"} <= set(copied())


@pytest.mark.parametrize("path", [".git", ".venv", ".hfi", ".env", "candidates", "release", "mlflow.db", "data"])
def test_neither_data_nor_history_reaches_the_build(path):
    assert ignored(path)


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "compose.cuda.yaml"])
def test_no_secret_and_no_index_stands_in_a_file(file):
    text = (REPOSITORY / file).read_text()
    for name, value in re.findall(r"(?im)^\s*(\w*(?:password|secret|token|api_key)\w*)[:=] *(.+)$", text):
        assert re.fullmatch(r"\$\{\w+:\?write it into \.env\}", value), f"{name} in {file}"
    assert not re.search(r"https?://[^ '\"]*(pypi|pytorch|docker\.|registry)", text)


def test_what_holds_the_secrets_is_not_committed():
    done = subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


def test_the_services_refer_to_what_is_there():
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for volume in service.get("volumes", []):
            source = volume.rpartition(":")[0]
            assert source == "${HFI_PROJECT:-.}" or source in COMPOSE["volumes"], name
        for config in service.get("configs", []):
            assert config["source"] in COMPOSE["configs"], name
        addressed = re.findall(r"(?:@|//)([a-z0-9]+):\d+", str([service.get("command"), service.get("environment")]))
        assert set(addressed) - {"localhost"} <= set(SERVICES), name


def test_every_service_that_stays_says_whether_it_is_well():
    waited_for = {
        one
        for service in SERVICES.values()
        for one, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) != (name in waited_for), name
        assert (service["restart"] == "no") == (name in waited_for), name
    for service in SERVICES.values():
        for one, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[one]


def test_servers_are_reached_from_this_machine_only():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not [name for name in OTHERS if "ports" in SERVICES[name]], "database and S3 from the other services only"


def test_postgresql_is_well_once_it_listens_to_others():
    """While it is set up it answers at its socket alone, and goes down once more."""
    assert "--host=127.0.0.1" in SERVICES["postgres"]["healthcheck"]["test"]


def test_what_operations_types_names_what_is_there():
    """Nobody could run these commands here: services, databases and programs at least are those of the file."""
    page = (REPOSITORY / "docs/operations.md").read_text()
    typed = re.findall(r"^docker compose (.+)$", page, re.MULTILINE)
    assert {line.split()[0] for line in typed} == {"exec", "stop", "cp", "start", "run", "build", "up"}
    databases = {"feedback", *re.findall(r"CREATE DATABASE (\w+)", COMPOSE["configs"]["databases"]["content"])}
    for line in typed:
        subprocess.run(["bash", "-n", "-c", line], check=True)
        verb, *words = re.split(r"[ :]", line.partition(" < ")[0].partition(" > ")[0])
        assert verb == "build" or set(words) & set(SERVICES), line
        if "pg_" in line:
            assert "--username=hfi" in words and words[-1].removeprefix("--dbname=") in databases, line


def test_the_gpus_are_given_to_the_services_that_compute():
    """Compose merges the second file into the first, by the services' names."""
    more = yaml.safe_load((REPOSITORY / "compose.cuda.yaml").read_text())["services"]
    assert set(more) == {"worker", "deploy"} <= set(SERVICES)
    for service in more.values():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
