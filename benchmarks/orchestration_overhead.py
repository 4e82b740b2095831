"""Measure what orchestration costs: a run next to the functions in it, a run with nothing to do, and start-up.

The overhead comes from one run of a fresh copy of the project, `hfi run` from its start to its end. The seconds of the
stages' functions are from their own clocks (`reports/cost.json`, imports included). All the rest is the overhead. We do
not compare two runs, because on a shared machine two runs differ by more than the overhead. A run with nothing to do,
`hfi --help` and `hfi status` are the best of three.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results import Figure

_NOT_COPIED = {".venv", ".git", ".hfi", "candidates", "feedback", "labels", "reward", "tokens", "models", "attacks",
             "evaluation", "release", "mlruns", "mlflow.db", "dvc.lock", "reports"}  # fmt: skip
REPEATS = 3


def _seconds(folder: Path, *command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def _copy_project(folder: Path) -> Path:
    """Copy the project without its results, into a repository of its own."""
    shutil.copytree(
        Path.cwd(), folder, ignore=lambda where, names: _NOT_COPIED & set(names) if Path(where) == Path.cwd() else set()
    )
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def measure() -> dict[str, Figure]:
    """Run a copy of the project, then three commands that have little to do."""
    hfi = str(Path(sys.executable).parent / "hfi")
    with tempfile.TemporaryDirectory() as name:
        project = _copy_project(Path(name) / "project")
        flow = _seconds(project, hfi, "run")
        runs = json.loads((project / "reports/cost.json").read_text())["runs"]
        functions = sum(run["seconds"] for run in runs)
        return {
            "units": Figure(len(runs)),
            "functions seconds": Figure(functions),
            "flow seconds": Figure(flow),
            "overhead share": Figure(flow / functions - 1),
            "nothing to do seconds": Figure(min(_seconds(project, hfi, "run") for _ in range(REPEATS))),
            "help seconds": Figure(min(_seconds(project, hfi, "--help") for _ in range(REPEATS))),
            "status seconds": Figure(min(_seconds(project, hfi, "status") for _ in range(REPEATS))),
        }
