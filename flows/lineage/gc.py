"""Find and delete unreferenced objects in DVC's cache, and checkpoints of units that no longer exist."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.execution.unit import WORK
from flows.lineage.gc_roots import Root
from flows.runtime.device import with_local_device
from flows.versioning.cache import delete_unreferenced, find_unreferenced
from flows.versioning.pointers import CachedObject
from hfi_core.errors import UserError
from hfi_core.feedback.reader import read_judgements
from hfi_core.params import Params
from hfi_core.pipeline.graph import WORK_KEY, units_of, work_key


@dataclass(frozen=True)
class Garbage:
    """What no root references."""

    objects: Mapping[CachedObject, Path]
    """Files in DVC's cache that may be deleted."""
    judgements: Mapping[CachedObject, Path]
    """Files in DVC's cache with people's judgements. They stay although nothing references them."""
    checkpoints: tuple[Path, ...]
    """Folders of units that no longer exist, or whose inputs or params have changed since."""

    @property
    def object_bytes(self) -> int:
        """Return the size of the objects."""
        return sum(data.bytes for data in self.objects)

    @property
    def checkpoint_bytes(self) -> int:
        """Return the size of the checkpoints."""
        return sum(path.stat().st_size for folder in self.checkpoints for path in folder.rglob("*") if path.is_file())


def find_garbage(params: Params, roots: Iterable[Root]) -> Garbage:
    """Return what no root references; delete nothing.

    Raises UserError if other projects may have data in the same cache.
    """
    objects = find_unreferenced(_data_of(roots))
    judgements = {data: path for data, path in objects.items() if _holds_judgements(path)}
    return Garbage(
        {data: path for data, path in objects.items() if data not in judgements},
        judgements,
        tuple(_find_stale_checkpoints(params)),
    )


def delete_garbage(garbage: Garbage, roots: Iterable[Root]) -> None:
    """Delete the objects and the checkpoints. Stopped at any moment, it has deleted nothing else."""
    delete_unreferenced(_data_of(roots) | garbage.judgements.keys())
    for folder in garbage.checkpoints:
        shutil.rmtree(folder, ignore_errors=True)


def _data_of(roots: Iterable[Root]) -> set[CachedObject]:
    return {data for root in roots for data in root.data}


def _holds_judgements(path: Path) -> bool:
    """Return whether the first line of a file is a judgement by a person."""
    try:
        _, first = next(read_judgements(path))
    except (StopIteration, UserError):
        return False
    return not first.simulated


def _find_stale_checkpoints(params: Params) -> Iterator[Path]:
    """Yield the checkpoints that no unit will continue from with these params, on this machine's device."""
    params = with_local_device(params)
    units = {unit.address: unit for unit in units_of(params)}
    for folder in sorted(WORK.glob("*")):
        address, key = folder.name[: -WORK_KEY - 1], folder.name[-WORK_KEY:]
        unit = units.get(address)
        # Without its inputs a unit's key is not known, and `dvc pull` may bring them back.
        if unit is None or (all(path.exists() for path in unit.inputs.values()) and work_key(unit, params) != key):
            yield folder
