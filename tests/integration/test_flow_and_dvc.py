"""The Prefect flow and `dvc repro` leave the same bytes, in two fresh clones, on the embedded model.

In `make soak` each command imports everything anew, as a user's does; in `make test` it is forked.
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.forking import REAL
from tests.support.loop import bytes_below
from tests.support.projects import REPOSITORY, read_raw, write_raw

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


def shorten(folder: Path) -> None:
    """The repository's own params with few steps and pictures, and the two rows that differ most."""
    raw = read_raw(folder)
    raw["compute"] |= {"block": 4}  # a whole block is drawn however few pictures are asked for
    raw["sampler"] |= {"steps": 2}
    raw["candidates"]["drawn"] = {"badge": 12}
    raw["concepts"]["badge"]["prompts"] = raw["concepts"]["badge"]["prompts"][:3]
    raw["reward"] |= {"steps": 20, "least": 10}
    raw["invert"] |= {"steps": 2, "batch": 4, "check": 4}
    raw["removals"] = {name: raw["removals"][name] for name in ("base", "anchored")}
    raw["removals"]["anchored"] |= {"steps": 2, "batch": 4, "reinvert_steps": 2, "rollouts": 4, "rollout_steps": 2}
    raw["removals"]["anchored"] |= {"word_pictures": 1}
    raw["attacks"]["reinverted"] |= {"pictures": 4, "steps": 2, "batch": 4}
    for suite in raw["evaluate"]["suites"].values():
        (folder / suite["file"]).write_text("".join((folder / suite["file"]).read_text().splitlines(True)[:3]))
        suite |= {"pictures": 2}
    raw["evaluate"] |= {"resamples": 100}
    write_raw(folder, raw)


@dataclass(frozen=True)
class Clone:
    """A clone, and the environment of the commands in it."""

    folder: Path
    environment: Mapping[str, str]

    def command(self, *words: str) -> str:
        """Run a command as a user would; its output."""
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def outputs(self) -> dict[str, str]:
        """The digest of every output."""
        found = bytes_below(*(self.folder / name for name in OUTPUTS), named_from=self.folder)
        outside = ("reports/cost.json", "reports/registration.json")
        return {name: digest for name, digest in found.items() if name not in outside and ".gitignore" not in name}


def clone(folder: Path, environment: Mapping[str, str]) -> Clone:
    """A fresh clone of what git tracks here, with shortened params, committed."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (REPOSITORY / name).exists() and not name.startswith(("hfi_core/", "tests/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, folder / name)
    shorten(folder)
    made = Clone(folder, environment)
    made.command("hfi", "params", "sync")  # the plots name the rows
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    made.command(*git, "init", "-q")
    made.command(*git, "add", "-A")
    made.command(*git, "commit", "-qm", "Start")
    return made


@pytest.fixture(scope="module", params=["forked", pytest.param("anew", marks=pytest.mark.soak)])
def clones(request, forked, tmp_path_factory) -> tuple[Clone, Clone]:
    """Two clones, one brought up to date by `hfi run`, the other by `dvc repro`."""
    base = tmp_path_factory.mktemp("clones")
    environment = forked if request.param == "forked" else forked | REAL
    by_flow, by_dvc = clone(base / "flow", environment), clone(base / "dvc", environment)
    by_flow.command("hfi", "run")
    by_dvc.command("dvc", "repro")
    return by_flow, by_dvc


@pytest.mark.timeout(600)
def test_every_output_is_equal_to_the_byte(clones):
    by_flow, by_dvc = (made.outputs() for made in clones)
    assert by_flow
    assert by_flow == by_dvc


def test_both_leave_the_same_lock(clones):
    by_flow, by_dvc = (yaml.safe_load((made.folder / "dvc.lock").read_text()) for made in clones)
    assert by_flow == by_dvc


def test_after_either_dvc_is_clean_and_the_other_finds_nothing_to_do(clones):
    by_flow, by_dvc = clones
    for made in clones:
        assert "up to date" in made.command("dvc", "status")
    assert "didn't change" in by_flow.command("dvc", "repro")
    before = by_dvc.outputs()
    assert "nothing to do" in by_dvc.command("hfi", "run").lower()
    assert by_dvc.outputs() == before


def test_git_is_clean_but_for_the_lock(clones):
    for made in clones:
        assert made.command("git", "status", "--porcelain").split() == ["??", "dvc.lock"]


def test_metrics_and_plots_are_shown_by_dvc(clones):
    by_flow, _ = clones
    assert "flagged@broad" in by_flow.command("dvc", "metrics", "show")
    assert "index.html" in by_flow.command("dvc", "plots", "show")
