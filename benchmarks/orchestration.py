"""What the plumbing costs: the flow against the bare functions, a run with nothing to do, and start-up.

The flow and the bare functions do the same work from the same state in turn, each in a process of its own, in one run.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_BARE = """
from pathlib import Path
from hfi_core.params import read_params
from hfi_core.stage import units_of
params = read_params(Path("params.yaml"))
for unit in units_of(params):
    unit.stage.load()(params, unit.inputs, unit.outputs, unit=unit.unit)
"""
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
        bare = _seconds(_project(Path(name) / "bare"), sys.executable, "-c", _BARE)
        project = _project(Path(name) / "flow")
        flow = _seconds(project, hfi, "run")
        figures |= {"bare_functions_seconds": bare, "flow_seconds": flow, "overhead_share": flow / bare - 1}
        figures["nothing_to_do_seconds"] = min(_seconds(project, hfi, "run") for _ in range(REPEATS))
        figures["help_seconds"] = min(_seconds(project, hfi, "--help") for _ in range(REPEATS))
        figures["status_seconds"] = min(_seconds(project, hfi, "status") for _ in range(REPEATS))
    for key, value in figures.items():
        print(f"{key:28} {value:.3f}", flush=True)
    return figures


if __name__ == "__main__":
    main()
