"""Draw and judge every row again from the same inputs, and compare the result with the project's evaluation.

Figures may change without a change in git: with another processor, driver or library, a judge that was replaced in
place, or a damaged file. If pictures differ only in their last bits and have the same verdicts, the figures hold.
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

FOLDER = STATE / "reevaluation"
"""Folder in which rows are evaluated again; a stopped command continues from its content."""
_MAX_AGE_SECONDS = 3 * 86_400.0
"""Older content is deleted, because the machine may have changed since."""


class OutOfDate(UserError):
    """Error of a project whose evaluation is out of date, so there is nothing to compare with."""


@dataclass(frozen=True)
class ReevaluatedRow:
    """Comparison of a row with its first evaluation."""

    row: str
    pictures: int
    changed_pictures: int
    """Pictures whose files differ."""
    changed_verdicts: int
    """Pictures of which at least one verdict differs."""

    @property
    def share(self) -> float:
        """Share of the pictures of which a verdict differs."""
        return self.changed_verdicts / self.pictures

    def __str__(self) -> str:
        return (
            f"{self.row}: {self.changed_pictures} of {self.pictures} pictures differ, "
            f"{self.changed_verdicts} have another verdict"
        )


def reevaluate(params: Params) -> tuple[ReevaluatedRow, ...]:
    """Evaluate every row again in another folder, and compare it with the project's evaluation, which stays.

    Raises OutOfDate if the project's evaluation is out of date.
    """
    units = [unit for unit in units_of(params) if unit.stage.name == "evaluate"]
    if stale := find_changes(*(unit.address for unit in units)):
        raise OutOfDate(
            f"There is nothing to compare with: {', '.join(sorted(stale))} is out of date. First: `hfi run`."
        )
    rows = tuple(_reevaluate(unit, with_local_device(params)) for unit in units)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return rows


def _reevaluate(unit: Unit, params: Params) -> ReevaluatedRow:
    folder = _prepare_folder(unit, params)
    again, work = folder / unit.unit, folder / "work"
    if not again.exists():
        with show_progress(unit.address) as progress:
            unit.stage.load()(unit.context(params, outputs={"evaluation": again}, work=work, progress=progress))
    evaluations = (unit.outputs["evaluation"], again)
    pairs = list(zip(*(read_jsonl(evaluation / RECORDS) for evaluation in evaluations), strict=True))
    return ReevaluatedRow(
        unit.unit,
        len(pairs),
        sum(first["sha256"] != second["sha256"] for first, second in pairs),
        sum(any(first[name] != second[name] for name in SHARES) for first, second in pairs),
    )


def _prepare_folder(unit: Unit, params: Params) -> Path:
    """Return the folder of a row; it has content only from the same code on the same system, a short time ago."""
    key = sha256_of_json([work_key(unit, params), package_versions(), platform.platform()])[:WORK_KEY]
    folder = FOLDER / f"{unit.address}-{key}"
    start = folder / "begun"
    if not start.exists() or time.time() - start.stat().st_mtime > _MAX_AGE_SECONDS:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "work").mkdir(parents=True)
        start.touch()
    return folder
