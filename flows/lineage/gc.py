"""What nobody points at in DVC's cache, and checkpoints of no unit: found, and taken away by `dvc gc`.

DVC is given what else keeps data as a project of nothing but pointers, beside this one.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from flows.execution.unit import WORK
from flows.lineage.gc_roots import Root
from flows.runtime.device import with_local_device
from flows.versioning.pointers import LEGACY, CachedObject
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError
from hfi_core.feedback.reader import read_judgements
from hfi_core.params import Params
from hfi_core.pipeline.graph import WORK_KEY, units_of, work_key

_DVC_GC = "dvc_data.hashfile.gc"
"""The logger by which `dvc gc --dry` tells what it would remove."""


@dataclass(frozen=True)
class Garbage:
    """What may go."""

    objects: tuple[Path, ...]
    """In DVC's cache."""
    judgements: tuple[Path, ...]
    """In DVC's cache, what people said; nothing points at it, and it stays all the same."""
    checkpoints: tuple[Path, ...]
    """Folders of units that are no more, or whose inputs or params have changed since."""

    @property
    def object_bytes(self) -> int:
        """Of the objects."""
        return sum(path.stat().st_size for path in self.objects if path.exists())

    @property
    def checkpoint_bytes(self) -> int:
        """Of the checkpoints."""
        return sum(path.stat().st_size for folder in self.checkpoints for path in folder.rglob("*") if path.is_file())


def find_garbage(params: Params, kept: Iterable[Root]) -> Garbage:
    """What no keeper points at; nothing is removed.

    Raises UserError if other projects may have data in the same cache.
    """
    objects = _collect(_data_of(kept), dry=True)
    judgements = tuple(path for path in objects if _is_judgements(path))
    return Garbage(
        tuple(path for path in objects if path not in judgements), judgements, tuple(_stale_checkpoints(params))
    )


def remove_garbage(garbage: Garbage, kept: Iterable[Root]) -> None:
    """Remove it; stopped at any moment, nothing that is kept is lost, and the next call goes on."""
    _collect(_data_of(kept) | {_data_at(path) for path in garbage.judgements}, dry=False)
    for folder in garbage.checkpoints:
        shutil.rmtree(folder, ignore_errors=True)


def _data_of(kept: Iterable[Root]) -> set[CachedObject]:
    return {one for keeper in kept for one in keeper.data}


def _data_at(path: Path) -> CachedObject:
    """A file of the cache, by its place: `files/md5/12/34...`, and `12/34...` of DVC before 3.0."""
    name = "md5" if path.parts[-3] == "md5" else LEGACY
    return CachedObject(name, path.parent.name + path.name, 0, 1)


def _is_judgements(path: Path) -> bool:
    """Whether a file holds what people said: its first line does."""
    try:
        _, first = next(read_judgements(path))
    except (StopIteration, UserError):
        return False
    return not first.simulated


def _collect(data: Iterable[CachedObject], dry: bool) -> list[Path]:
    """The objects in the cache that neither the workspace nor `data` names; removed, unless `dry`."""
    with open_repository() as repo, _told_by_dvc() as told:
        cache = Path(repo.cache.local_cache_dir).resolve()
        _require_own(cache, Path(repo.root_dir).resolve())
        with _pointers(data, cache) as folder:
            # force: a folder whose list of files is gone here can be had from a remote only, and whole.
            repo.gc(workspace=True, repos=[str(folder)], force=True, dry=dry)
    return told


def _require_own(cache: Path, root: Path) -> None:
    if not cache.is_relative_to(root):
        raise UserError(
            f"DVC's cache {cache} lies outside this project, so others may share it, and what they need is not known "
            "here. `dvc gc --projects` takes the folders of all that do."
        )


@contextmanager
def _pointers(data: Iterable[CachedObject], cache: Path) -> Iterator[Path]:
    """A DVC project on the same cache that holds nothing but pointers."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / ".dvc").mkdir()
        core = f"[core]\n    no_scm = true\n    analytics = false\n    site_cache_dir = {folder / '.dvc/site'}\n"
        config = f"{core}[cache]\n    dir = {cache}\n"
        (folder / ".dvc/config").write_text(config, encoding="utf-8")
        outs = {(one.oid, one.hash): _out(one) for one in sorted(data, key=lambda one: (one.oid, one.hash))}
        if outs:
            (folder / "kept.dvc").write_text(yaml.safe_dump({"outs": list(outs.values())}), encoding="utf-8")
        yield folder


def _out(one: CachedObject) -> dict[str, Any]:
    named = {} if one.hash == LEGACY else {"hash": one.hash}
    return named | {"md5": one.oid, "size": one.bytes, "nfiles": one.files, "path": f"{one.hash}-{one.oid}"}


@contextmanager
def _told_by_dvc() -> Iterator[list[Path]]:
    """The paths that a dry `dvc gc` names meanwhile."""
    told: list[Path] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.extend(Path(str(path)) for path in record.args or ())

    logger, handler = logging.getLogger(_DVC_GC), Listening()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield told
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _stale_checkpoints(params: Params) -> Iterator[Path]:
    """Checkpoints that no unit will go on from as things are, on this machine's device."""
    params = with_local_device(params)
    units = {unit.address: unit for unit in units_of(params)}
    for folder in sorted(WORK.glob("*")):
        address, key = folder.name[: -WORK_KEY - 1], folder.name[-WORK_KEY:]
        unit = units.get(address)
        # Without its inputs a unit's key is not known, and they may come back by `dvc pull`.
        if unit is None or (all(path.exists() for path in unit.inputs.values()) and work_key(unit, params) != key):
            yield folder
