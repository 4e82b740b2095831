"""What the plumbing costs: a run of the flow against the functions in it, a run with nothing to do, and start-up.

Both are taken from one run of a fresh copy of the project, `hfi run` from its start to its end: what the stages'
functions took, by their own clocks (`reports/cost.json`, imports included), and all the rest, which is the overhead.
Two runs one after the other differ by more than that on a shared machine.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_KEPT_OUT = {".venv", ".git", ".hfi", "candidates", "feedback", "labels", "reward", "tokens", "models", "attacks",
             "evaluation", "release", "mlruns", "mlflow.db", "dvc.lock", "reports"}  # fmt: skip
REPEATS = 3


def _seconds(folder: Path, *command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def _project(folder: Path) -> Path:
    """A fresh copy of the project with a repository of its own."""
    shutil.copytree(
        Path.cwd(), folder, ignore=lambda where, names: _KEPT_OUT & set(names) if Path(where) == Path.cwd() else set()
    )
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def main() -> dict[str, float]:
    """Measure and print."""
    hfi = str(Path(sys.executable).parent / "hfi")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        project = _project(Path(name) / "project")
        flow = _seconds(project, hfi, "run")
        runs = json.loads((project / "reports/cost.json").read_text())["runs"]
        functions = sum(run["seconds"] for run in runs)
        figures |= {
            "units": float(len(runs)), "functions_seconds": functions, "flow_seconds": flow,
            "overhead_share": flow / functions - 1,
        }  # fmt: skip
        figures["nothing_to_do_seconds"] = min(_seconds(project, hfi, "run") for _ in range(REPEATS))
        figures["help_seconds"] = min(_seconds(project, hfi, "--help") for _ in range(REPEATS))
        figures["status_seconds"] = min(_seconds(project, hfi, "status") for _ in range(REPEATS))
    for key, value in figures.items():
        print(f"{key:28} {value:.3f}", flush=True)
    return figures


if __name__ == "__main__":
    main()
