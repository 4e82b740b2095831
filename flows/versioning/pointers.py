"""Read DVC's pointer files: `dvc.lock`, and the `.dvc` files of inputs that no unit makes. They name a state's data."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.versioning.inputs import dvc_file_of
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_folder
from hfi_core.pipeline.graph import Unit
from hfi_core.pipeline.layout import DVC_LOCK, OPERATIONS, PARAMS
from hfi_core.secrets import hide_passwords

FOLDER = "lineage"
"""Artifact folder of a registration's MLflow run, with the pointer files and the settings of that time."""
TAG = "hfi.lineage"
LEGACY = "md5-dos2unix"
"""Hash of DVC before 3.0, whose pointer files do not name it."""


@dataclass(frozen=True)
class CachedObject:
    """A file or folder in DVC's cache."""

    hash: str
    oid: str
    """Its digest; that of a folder ends with `.dir`, and its object is a list of the files inside."""
    bytes: int
    files: int


def pointer_files(units: Iterable[Unit]) -> list[Path]:
    """Return the paths of `dvc.lock` and of the `.dvc` files of the units' inputs (snapshot, imported candidates)."""
    inputs = {path for unit in units for path in unit.inputs.values()}
    dvc_files = sorted(dvc_file_of(path) for path in inputs if dvc_file_of(path).exists())
    return [*([DVC_LOCK] if DVC_LOCK.exists() else []), *dvc_files]


def settings_files(units: Iterable[Unit]) -> list[Path]:
    """Return the paths of the files that hold the project's settings: params, operations, prompts of suites."""
    prompts = {path for unit in units for path in unit.prompt_files}
    return [PARAMS, *([OPERATIONS] if OPERATIONS.exists() else []), *sorted(prompts)]


@contextmanager
def collect_pointers(units: Iterable[Unit]) -> Iterator[tuple[Path, str]]:
    """Copy the pointer files and the settings (without passwords) to a temporary folder; yield it and its digest."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / FOLDER
        folder.mkdir()
        units = list(units)
        for path in settings_files(units):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(hide_passwords(path.read_text(encoding="utf-8")), encoding="utf-8")
        for path in pointer_files(units):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path)
        yield folder, sha256_of_folder(folder)


def is_pointer(name: str) -> bool:
    """Return whether a path is that of a pointer file."""
    return Path(name).name == DVC_LOCK.name or (name.endswith(".dvc") and Path(name).name != ".dvc")


def read_pointers(text: str, source: str) -> Iterator[CachedObject]:
    """Yield the objects that the text of a pointer file names; `source` says in an error where the text is from.

    Raises UserError if the text is not that of a pointer file.
    """
    import yaml

    try:
        content = yaml.safe_load(text) or {}
        entries = content["stages"].values() if "stages" in content else [content]
        outs = [out for entry in entries for out in entry.get("outs") or []]
        yield from (_cached_object(out) for out in outs if out.get("md5"))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{source} is not a pointer file of DVC, so its data is unknown: {error}") from error


def _cached_object(out: dict[str, Any]) -> CachedObject:
    return CachedObject(out.get("hash", LEGACY), str(out["md5"]), int(out.get("size", 0)), int(out.get("nfiles", 1)))
