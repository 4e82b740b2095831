"""What child processes of a unit are told, in its working folder: on storage that all machines share, it reaches all.

Beside the order lie what each child says of its progress, its log, and the sign that all are to stop.
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
"""Whose versions decide over bytes."""
_EVERY_SECONDS = 1.0
"""Between two words of one child on its progress."""


@dataclass(frozen=True)
class Job:
    """A unit as a child is to compute it, with paths below the project's folder, and the unit's working folder."""

    unit: Unit
    params: Params
    work: Path

    def give(self) -> None:
        """Write it down, and forget an earlier stop and earlier progress."""
        for path in (stop_file(self.work), *self.work.glob("progress/*")):
            path.unlink(missing_ok=True)
        write_json(
            job_file(self.work),
            {"unit": self.unit.address, "params": self.params.model_dump(mode="json"), "versions": package_versions()},
        )

    def stop(self) -> None:
        """Tell whoever works on it, wherever, to stop."""
        stop_file(self.work).touch()

    def reporter(self, name: str) -> Progress:
        """What a child tells of its progress, now and then."""
        path, last = self.work / "progress" / f"{name}.json", 0.0

        def progress(done: int, total: int, what: str) -> None:
            nonlocal last
            if done < total and time.monotonic() - last < _EVERY_SECONDS:
                return
            last = time.monotonic()
            with atomic_file(path) as beside:
                beside.write_text(json.dumps([done, total, what]), encoding="utf-8")

        return progress

    def progress(self, names: Iterable[str]) -> tuple[int, int, str]:
        """What the named children have done of what they have to do, together; (0, 0, "") before any said a word."""
        told = [_told(self.work / "progress" / f"{name}.json") for name in names]
        known = [one for one in told if one]
        return sum(one[0] for one in known), sum(one[1] for one in known), known[-1][2] if known else ""


def job_file(work: Path) -> Path:
    """Where the order lies in a working folder."""
    return work / "order.json"


def stop_file(work: Path) -> Path:
    """What lies in a working folder once all who work there are to stop."""
    return work / "stop"


def log_file(work: Path, name: str) -> Path:
    """Where a child's words go."""
    return work / "logs" / f"{name}.txt"


def read_job(work: Path) -> Job:
    """The order that lies in a working folder below the current one.

    Raises UserError if this machine does not see it, sees other inputs, or has other code than who gave it.
    """
    path = job_file(work)
    if not path.is_file():
        raise UserError(_unseen(Path.cwd(), work))
    told = json.loads(path.read_text(encoding="utf-8"))
    ours = package_versions()
    others = [f"{name} {ours[name]} for {wanted}" for name, wanted in told["versions"].items() if ours[name] != wanted]
    if others:
        raise UserError(
            f"{node()} has {', '.join(others)}: results rest on the version. Install there what the run's machine has."
        )
    params = parse_params(told["params"])
    (unit,) = [unit for unit in units_of(params) if unit.address == told["unit"]]
    absent = [str(place) for place in unit.inputs.values() if not place.exists()]
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
        f"{node()} sees no {project / work}: a machine that takes shards needs the project's folder on storage that it "
        "shares with the run's machine, at the same path. Mount it there, or run without --ray."
    )


def package_versions() -> dict[str, str]:
    """The versions here of the packages that decide over bytes."""
    return {name: version(name) for name in _PACKAGES}


def _told(path: Path) -> list | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
