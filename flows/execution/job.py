"""The job file that tells child processes what to compute.

It lies in the unit's working folder, which all machines must share. Each child writes its progress and its log there,
and a file there asks all of them to stop.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import node

from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.io.json_files import write_json
from hfi_core.params import Params, parse_params
from hfi_core.pipeline.graph import Unit, units_of, work_key
from hfi_core.progress import Progress

_PACKAGES = ("hfi-pipeline", "torch", "diffusers", "transformers", "numpy", "pillow")
"""Packages on whose versions the bytes of results depend."""
_REPORT_INTERVAL_SECONDS = 1.0
"""Between two reports of progress by one child."""


@dataclass(frozen=True)
class Job:
    """A unit that child processes compute, its params and its working folder; paths are relative to the project."""

    unit: Unit
    params: Params
    work: Path

    def write(self) -> None:
        """Write the job file, and remove an earlier request to stop and earlier progress."""
        for path in (stop_file(self.work), *self.work.glob("progress/*")):
            path.unlink(missing_ok=True)
        write_json(
            job_file(self.work),
            {"unit": self.unit.address, "params": self.params.model_dump(mode="json"), "versions": package_versions()},
        )

    def request_stop(self) -> None:
        """Ask all processes of this job, on any machine, to stop."""
        stop_file(self.work).touch()

    def progress_reporter(self, name: str) -> Progress:
        """Return a callback with which a child writes its progress, at most once a second."""
        path, last_report = self.work / "progress" / f"{name}.json", 0.0

        def progress(done: int, total: int, part: str) -> None:
            nonlocal last_report
            if done < total and time.monotonic() - last_report < _REPORT_INTERVAL_SECONDS:
                return
            last_report = time.monotonic()
            with atomic_file(path) as temporary:
                temporary.write_text(json.dumps([done, total, part]), encoding="utf-8")

        return progress

    def read_progress(self, names: Iterable[str]) -> tuple[int, int, str]:
        """Return the progress of the named children together: done, total, part; (0, 0, "") before the first report."""
        reports = [_read_report(self.work / "progress" / f"{name}.json") for name in names]
        known = [report for report in reports if report]
        return sum(report[0] for report in known), sum(report[1] for report in known), known[-1][2] if known else ""


def job_file(work: Path) -> Path:
    """Return the path of the job file in a working folder."""
    return work / "job.json"


def stop_file(work: Path) -> Path:
    """Return the path of the file that asks the processes in a working folder to stop."""
    return work / "stop"


def log_file(work: Path, name: str) -> Path:
    """Return the path of a child's log."""
    return work / "logs" / f"{name}.txt"


def read_job(work: Path) -> Job:
    """Return the job in a working folder below the current folder.

    Raises UserError if this machine does not see it, sees other inputs, or has other versions of the code.
    """
    path = job_file(work)
    if not path.is_file():
        raise UserError(_unseen(Path.cwd(), work))
    content = json.loads(path.read_text(encoding="utf-8"))
    installed = package_versions()
    different = [
        f"{name} {installed[name]} instead of {expected}"
        for name, expected in content["versions"].items()
        if installed[name] != expected
    ]
    if different:
        raise UserError(
            f"{node()} has {', '.join(different)}, and results depend on the version. To fix this: install there what "
            "the run's machine has."
        )
    params = parse_params(content["params"])
    (unit,) = [unit for unit in units_of(params) if unit.address == content["unit"]]
    absent = [str(path) for path in unit.inputs.values() if not path.exists()]
    if absent or work.name != f"{unit.address}-{work_key(unit, params)}":
        missing = f" ({', '.join(absent)} missing)" if absent else ""
        raise UserError(
            f"{node()} does not see the inputs of {unit.address} that the run's machine sees{missing}: "
            f"{Path.cwd()} must be on storage that both share."
        )
    return Job(unit, params, work)


def require_shared_storage(project: Path, work: Path) -> None:
    """Raise UserError if this machine does not see the project's folder with a unit's working folder in it."""
    if not job_file(project / work).is_file():
        raise UserError(_unseen(project, work))


def _unseen(project: Path, work: Path) -> str:
    return (
        f"{node()} does not see {project / work}: a machine that computes shards needs the project's folder on storage "
        "that it shares with the run's machine, at the same path. To fix this: mount it there, or run without --ray."
    )


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages on which the bytes of results depend."""
    return {name: version(name) for name in _PACKAGES}


def _read_report(path: Path) -> list | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
