"""Write files and folders whole or not at all: write a temporary one beside the target, flush it, then rename it."""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hfi_core.errors import UserError, causes

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk and of an exceeded quota."""
_DISK_FULL_TEXTS = (
    *(form.format(code) for code in DISK_FULL_ERRORS for form in ("(os error {})", "[Errno {}]")),
    "database or disk is full",
)
"""What safetensors, shutil and SQLite say of it: they give no error number."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether a full disk or an exceeded quota is behind an error, from any library."""
    return any(
        getattr(cause, "errno", None) in DISK_FULL_ERRORS or any(text in str(cause) for text in _DISK_FULL_TEXTS)
        for cause in causes(error)
    )


@contextmanager
def disk_full_as_user_error(path: Path) -> Iterator[None]:
    """Turn the error of a full disk, from any library, into a UserError that names the file being written."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError) or not is_disk_full(error):  # a file inside a folder is named by itself
            raise
        raise UserError(
            f"{path} was not written: the disk is full. The earlier content is unchanged.\n"
            "  To fix this: free some space, then run the same command again."
        ) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_writable(path: Path) -> None:
    """Raise UserError if a file cannot be written: its path is a folder, or its folder cannot be created."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file.")
    nearest = next(parent for parent in path.absolute().parents if parent.exists())
    if not nearest.is_dir():
        raise UserError(f"{path} cannot be written, because {nearest} is a file. To fix this: name another path.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{path} cannot be written. To fix this: correct the permissions of {nearest}.")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. It replaces `path` when the block ends without an error.

    Raises UserError as `require_writable` does.
    """
    require_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with disk_full_as_user_error(path):
            yield temporary
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill. It replaces `path` in one step when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with disk_full_as_user_error(path):
            temporary.mkdir()
            yield temporary
            for file in sorted(temporary.rglob("*")):
                _flush(file)
            _flush(temporary)
            if path.exists():
                _exchange(temporary, path)
            else:
                temporary.rename(path)
            _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders atomically by renameat2 (Linux). Where that is missing, move the old one aside first."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None and (rename(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) == 0):
        return
    aside = old.with_name(f".{old.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside)
