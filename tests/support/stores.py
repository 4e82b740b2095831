"""Stores in SQLite that are made once and copied: to migrate one takes ten times as long as to open it."""

import tempfile
from functools import cache
from pathlib import Path

from hfi_core.feedback.store import Store, open_store


def store_in(folder: Path) -> Store:
    """Open the store in a folder; there is an empty one, if there was none."""
    path = folder / "feedback.db"
    if not path.exists():
        path.write_bytes(_empty_store())
    return open_store(f"sqlite:///{path}")


@cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "feedback.db"
        open_store(f"sqlite:///{path}").close()
        return path.read_bytes()
