"""Fresh clones of the repository with short params, in which tests call commands as a user would."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
