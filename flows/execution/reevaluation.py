"""Draws and judges every row again, aside and from the same inputs: does this machine still give the figures?

What takes them away without a change in git: another processor, driver or library, a judge that was replaced in place,
a file that rotted. Where pictures differ in their last bits and are judged as before, the figures stand.
"""

import platform
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from flows.execution.job import package_versions
from flows.runtime.console import show_progress
from flows.runtime.device import with_local_device
from flows.versioning.repo import find_changes
from hfi_core.errors import UserError
from hfi_core.evaluation.definitions import SHARES
from hfi_core.evaluation.records import RECORDS
from hfi_core.io.hashing import sha256_of_json
from hfi_core.io.json_files import read_jsonl
from hfi_core.params import Params
from hfi_core.pipeline.graph import WORK_KEY, Unit, units_of, work_key
from hfi_core.pipeline.layout import STATE

ASIDE = STATE / "reevaluation"
"""Where rows are evaluated again; who is stopped goes on from what is there."""
_OLDEST = 3 * 86_400.0
"""Seconds after which what lies there counts no more: it says what the machine gave then."""


class OutOfDate(UserError):
    """There is no evaluation that could come out otherwise."""


@dataclass(frozen=True)
class ReevaluatedRow:
    """A row that was evaluated again, in counts of pictures."""

    row: str
    pictures: int
    drawn_otherwise: int
    """Their files' digests differ."""
    judged_otherwise: int
    """A verdict on them differs."""

    @property
    def share(self) -> float:
        """Of the pictures, those judged otherwise."""
        return self.judged_otherwise / self.pictures

    def __str__(self) -> str:
        return (
            f"{self.row}: of {self.pictures} pictures {self.drawn_otherwise} are drawn otherwise, "
            f"{self.judged_otherwise} judged otherwise"
        )


def reevaluate(params: Params) -> tuple[ReevaluatedRow, ...]:
    """Evaluate every row again; the evaluation that lies in the project stays as it is.

    Raises OutOfDate where that evaluation is not up to date.
    """
    units = [unit for unit in units_of(params) if unit.stage.name == "evaluate"]
    if stale := find_changes(*(unit.address for unit in units)):
        raise OutOfDate(
            f"There is nothing to compare with: {', '.join(sorted(stale))} is out of date. First: `hfi run`."
        )
    rows = tuple(_again(unit, with_local_device(params)) for unit in units)
    shutil.rmtree(ASIDE, ignore_errors=True)
    return rows


def _again(unit: Unit, params: Params) -> ReevaluatedRow:
    place = _begun(unit, params)
    aside, work = place / unit.unit, place / "work"
    if not aside.exists():
        with show_progress(unit.address) as show:
            unit.stage.load()(params, unit.inputs, {"evaluation": aside}, unit=unit.unit, work=work, progress=show)
    folders = (unit.outputs["evaluation"], aside)
    pairs = list(zip(*(read_jsonl(folder / RECORDS) for folder in folders), strict=True))
    return ReevaluatedRow(
        unit.unit,
        len(pairs),
        sum(one["sha256"] != other["sha256"] for one, other in pairs),
        sum(any(one[name] != other[name] for name in SHARES) for one, other in pairs),
    )


def _begun(unit: Unit, params: Params) -> Path:
    """The folder of a row: as it was left a short while ago by the same code on the same system, else empty."""
    key = sha256_of_json([work_key(unit, params), package_versions(), platform.platform()])[:WORK_KEY]
    place = ASIDE / f"{unit.address}-{key}"
    begun = place / "begun"
    if not begun.exists() or time.time() - begun.stat().st_mtime > _OLDEST:
        shutil.rmtree(place, ignore_errors=True)
        (place / "work").mkdir(parents=True)
        begun.touch()
    return place
