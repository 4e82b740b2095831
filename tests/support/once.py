"""What several of pytest's processes need is made by the first one that asks for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` has filled, for every process of this session. Look, and copy before you change it."""
    base = folders.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base  # pytest-xdist gives each process a part
    made, whole = shared / f"once-{name}", shared / f"once-{name}.whole"
    with FileLock(f"{made}.lock"):
        if not whole.exists():
            shutil.rmtree(made, ignore_errors=True)  # of one that failed half-way
            made.mkdir()
            make(made)
            whole.touch()
    return made
