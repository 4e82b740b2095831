"""Draws and judges every row again, aside and from the same inputs: does this machine still give the figures?

What takes them away without a change in git: another processor, driver or library, a judge that was replaced in place,
a file that rotted. Where pictures differ in their last bits and are judged as before, the figures stand.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.console import progress_of
from flows.device import here
from flows.lock import STATE
from flows.versioning import changes
from hfi_core.errors import UserError
from hfi_core.evaluation import RECORDS
from hfi_core.examples import read_jsonl
from hfi_core.params import Params
from hfi_core.report.definitions import SHARES
from hfi_core.stage import Unit, units_of


@dataclass(frozen=True)
class Again:
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


def reevaluate(params: Params) -> tuple[Again, ...]:
    """Evaluate every row again; the evaluation that lies in the project stays as it is.

    Raises UserError where that evaluation is not up to date.
    """
    units = [unit for unit in units_of(params) if unit.stage.name == "evaluate"]
    if stale := changes(*(unit.address for unit in units)):
        raise UserError(
            f"There is nothing to compare with: {', '.join(sorted(stale))} is out of date. First: `hfi run`."
        )
    return tuple(_again(unit, here(params)) for unit in units)


def _again(unit: Unit, params: Params) -> Again:
    with TemporaryDirectory(dir=STATE, prefix="reevaluation-") as name, progress_of(unit.address) as show:
        aside = Path(name) / unit.unit
        unit.stage.load()(params, unit.inputs, {"evaluation": aside}, unit=unit.unit, progress=show)
        folders = (unit.outputs["evaluation"], aside)
        pairs = list(zip(*(read_jsonl(folder / RECORDS) for folder in folders), strict=True))
    return Again(
        unit.unit,
        len(pairs),
        sum(one["sha256"] != other["sha256"] for one, other in pairs),
        sum(any(one[name] != other[name] for name in SHARES) for one, other in pairs),
    )
