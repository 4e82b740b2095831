"""Files and folders that appear whole or not at all: written beside their place, flushed, then renamed."""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hfi_core.errors import UserError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk has no room left."""


@contextmanager
def disk_full_as_user_error(path: Path) -> Iterator[None]:
    """Turn a full disk, whoever reports it, into a UserError that names what was being written."""
    try:
        yield
    except Exception as error:  # safetensors reports the system's error in words only
        said = any(f"(os error {code})" in str(error) for code in FULL)
        if not said and getattr(error, "errno", None) not in FULL:
            raise
        raise UserError(
            f"{path} was not written: the disk is full. What was there earlier is untouched; make room and run again."
        ) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; it takes the place of `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with disk_full_as_user_error(path):
            yield beside
            _flush(beside)
            beside.replace(path)
            _flush(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes the place of `path` in one step when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with disk_full_as_user_error(path):
            beside.mkdir()
            yield beside
            for file in sorted(beside.rglob("*")):
                _flush(file)
            _flush(beside)
            if path.exists():
                _exchange(beside, path)
            else:
                beside.rename(path)
            _flush(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders atomically (Linux renameat2); elsewhere move the old one aside first."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None and (rename(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) == 0):
        return
    aside = old.with_name(f".{old.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside)
