"""DVC's files that say which data a state is made of: `dvc.lock`, and the `.dvc` files of what no unit makes."""

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
from hfi_core.pipeline.layout import DVC_LOCK, PARAMS
from hfi_core.secrets import without_passwords

FOLDER = "lineage"
"""Where a registration's run holds the pointers of that time, and the params."""
TAG = "hfi.lineage"
LEGACY = "md5-dos2unix"
"""How DVC before 3.0 named content; its files do not say so."""


@dataclass(frozen=True)
class CachedObject:
    """A file or folder in DVC's cache."""

    hash: str
    oid: str
    """Ends with `.dir` for a folder: then it is a list of the files inside."""
    bytes: int
    files: int


def pointer_files(units: Iterable[Unit]) -> list[Path]:
    """The lock, and DVC's files of what the graph reads and no unit makes: the snapshot, imported candidates."""
    inputs = {path for unit in units for path in unit.inputs.values()}
    markers = sorted(dvc_file_of(path) for path in inputs if dvc_file_of(path).exists())
    return [*([DVC_LOCK] if DVC_LOCK.exists() else []), *markers]


@contextmanager
def collect_pointers(units: Iterable[Unit]) -> Iterator[tuple[Path, str]]:
    """A folder with the pointers and the params of now (without passwords), at their places, and its digest."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / FOLDER
        folder.mkdir()
        (folder / PARAMS).write_text(without_passwords(PARAMS.read_text(encoding="utf-8")), encoding="utf-8")
        for path in pointer_files(units):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path)
        yield folder, sha256_of_folder(folder)


def is_pointer(name: str) -> bool:
    """Whether a path is that of such a file."""
    return Path(name).name == DVC_LOCK.name or (name.endswith(".dvc") and Path(name).name != ".dvc")


def read_pointers(text: str, where: str) -> Iterator[CachedObject]:
    """The outputs that one of these files names.

    Raises UserError if it is none.
    """
    import yaml

    try:
        content = yaml.safe_load(text) or {}
        rows = content["stages"].values() if "stages" in content else [content]
        outs = [out for row in rows for out in row.get("outs") or []]
        yield from (_cached_object(out) for out in outs if out.get("md5"))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{where} is none of DVC's files, so what it points at is not known: {error}") from error


def _cached_object(out: dict[str, Any]) -> CachedObject:
    return CachedObject(out.get("hash", LEGACY), str(out["md5"]), int(out.get("size", 0)), int(out.get("nfiles", 1)))
