"""A file system of a few bytes, which tests fill and then make larger."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int = 2**16) -> Iterator[Path]:
    """Mount a file system of `size` bytes at a new folder, for the length of a block; skip where nobody can."""
    folder.mkdir()
    made = _mount(folder, f"size={size}")
    if made.returncode:
        pytest.skip(f"no small tmpfs can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def resize(disk: Path, size: int) -> None:
    """Give a small disk another size in bytes."""
    _mount(disk, f"remount,size={size}").check_returncode()


def _mount(folder: Path, options: str) -> subprocess.CompletedProcess:
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
