"""The Prefect flow and `dvc repro` leave the same bytes, in two fresh clones, on the embedded model.

In `make soak` each stage of `dvc repro` imports everything anew, as a user's does; in `make test` it is forked.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.forking import VARIABLE, write_command
from tests.loop import bytes_below
from tests.projects import REPOSITORY

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
OUTPUTS = (
    "candidates",
    "feedback",
    "labels",
    "reward",
    "tokens",
    "models",
    "attacks",
    "evaluation",
    "reports",
    "release",
)


def shorten(path: Path) -> None:
    """The repository's own params with few steps and pictures, and the two rows that differ most."""
    raw = yaml.safe_load(path.read_text())
    raw["compute"] |= {"block": 4}  # a whole block is drawn however few pictures are asked for
    raw["sampler"] |= {"steps": 2}
    raw["candidates"]["drawn"] = {"badge": 12}
    raw["concepts"]["badge"]["prompts"] = raw["concepts"]["badge"]["prompts"][:3]
    raw["reward"] |= {"steps": 20, "least": 10}
    raw["invert"] |= {"steps": 2, "batch": 4, "check": 4}
    raw["removals"] = {name: raw["removals"][name] for name in ("base", "anchored")}
    raw["removals"]["anchored"] |= {"steps": 2, "batch": 4, "reinvert_steps": 2, "rollouts": 4, "rollout_steps": 4}
    raw["attack"] |= {"steps": 2, "batch": 4}
    for suite in raw["evaluate"]["suites"].values():
        suite |= {"prompts": suite["prompts"][:2], "pictures": 2}
    raw["evaluate"] |= {"reinverted": 4, "resamples": 100}
    raw["release"]["lora"] |= {"pictures": 4}
    path.write_text(yaml.safe_dump(raw, sort_keys=False))


def clone(folder: Path) -> Path:
    """A fresh clone of what git tracks here, with shortened params, committed."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (REPOSITORY / name).exists() and not name.startswith(("hfi_core/", "tests/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, folder / name)
    shorten(folder / "params.yaml")
    command(folder, "hfi", "params", "sync")  # the plots name the rows
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-qm", "Start"], cwd=folder, check=True)
    return folder


def command(folder: Path, *words: str, code: int = 0, **environment: str) -> str:
    """Run a command as a user would, with the environment's scripts on PATH; its output."""
    environment = os.environ | {"PATH": PATH} | environment
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def relative_bytes(folder: Path) -> dict[str, str]:
    found = bytes_below(*(folder / name for name in OUTPUTS), named_from=folder)
    outside = ("reports/cost.json", "reports/registration.json")
    return {name: digest for name, digest in found.items() if name not in outside and ".gitignore" not in name}


@pytest.fixture(scope="module", params=["forked", pytest.param("anew", marks=pytest.mark.soak)])
def doors(request, tmp_path_factory):
    """Two clones, one brought up to date by each door."""
    base = tmp_path_factory.mktemp("doors")
    by_flow, by_dvc = clone(base / "flow"), clone(base / "dvc")
    command(by_flow, "hfi", "run")
    if request.param == "forked":
        write_command(base / "hfi", "flows.cli:main")
        forked = {"PATH": f"{base}{os.pathsep}{PATH}", VARIABLE: request.getfixturevalue("forks")}
        command(by_dvc, "dvc", "repro", **forked)
    else:
        command(by_dvc, "dvc", "repro")
    return by_flow, by_dvc


@pytest.mark.timeout(600)
def test_every_output_is_equal_to_the_byte(doors):
    by_flow, by_dvc = map(relative_bytes, doors)
    assert by_flow
    assert by_flow == by_dvc


def test_both_leave_the_same_lock(doors):
    by_flow, by_dvc = (yaml.safe_load((folder / "dvc.lock").read_text()) for folder in doors)
    assert by_flow == by_dvc


def test_after_either_dvc_is_clean_and_the_other_door_finds_nothing_to_do(doors):
    by_flow, by_dvc = doors
    for folder in doors:
        assert "up to date" in command(folder, "dvc", "status")
    assert "didn't change" in command(by_flow, "dvc", "repro")
    before = relative_bytes(by_dvc)
    assert "nothing to do" in command(by_dvc, "hfi", "run").lower()
    assert relative_bytes(by_dvc) == before


def test_git_is_clean_but_for_the_lock(doors):
    for folder in doors:
        assert command(folder, "git", "status", "--porcelain").split() == ["??", "dvc.lock"]


def test_metrics_and_plots_are_shown_by_dvc(doors):
    by_flow, _ = doors
    assert "flagged@broad" in command(by_flow, "dvc", "metrics", "show")
    assert "index.html" in command(by_flow, "dvc", "plots", "show")
