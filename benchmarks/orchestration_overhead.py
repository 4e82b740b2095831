"""Measure what orchestration costs: a run next to the functions in it, a run with nothing to do, and start-up.

The overhead comes from one run of a fresh copy of the project by `hfi run`, and one of another copy by `dvc repro`,
each from its start to its end. The seconds of the functions of the stages are from their own clocks
(`reports/cost.json`). All the rest, imports included, is the overhead. Compare the overheads and not the seconds of the
two runs, because on a shared machine two runs differ by more than the overhead. A run with nothing to do, `hfi --help`
and `hfi status` are the best of three.
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


def _measure_run(project: Path, *command: str) -> tuple[int, float, float]:
    """Bring a project up to date; return its units, the command's seconds and those of the stages' functions."""
    seconds = _seconds(project, *command)
    runs = json.loads((project / "reports/cost.json").read_text())["runs"]
    return len(runs), seconds, sum(run["seconds"] for run in runs)


def measure() -> dict[str, Figure]:
    """Run two copies of the project, then three commands that have little to do."""
    programs = Path(sys.executable).parent
    hfi, dvc = str(programs / "hfi"), str(programs / "dvc")
    with tempfile.TemporaryDirectory() as name:
        project = _copy_project(Path(name) / "project")
        units, flow, functions = _measure_run(project, hfi, "run")
        _, repro, functions_of_repro = _measure_run(_copy_project(Path(name) / "repro"), dvc, "repro")
        return {
            "units": Figure(units),
            "functions seconds": Figure(functions),
            "flow seconds": Figure(flow),
            "overhead share": Figure(flow / functions - 1),
            "repro functions seconds": Figure(functions_of_repro),
            "repro seconds": Figure(repro),
            "repro overhead share": Figure(repro / functions_of_repro - 1),
            "nothing to do seconds": Figure(min(_seconds(project, hfi, "run") for _ in range(REPEATS))),
            "help seconds": Figure(min(_seconds(project, hfi, "--help") for _ in range(REPEATS))),
            "status seconds": Figure(min(_seconds(project, hfi, "status") for _ in range(REPEATS))),
        }
