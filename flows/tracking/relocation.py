"""Notice that a project was moved or copied, and point MLflow's records to its present folder.

MLflow stores absolute paths of local artifacts, even if `tracking.mlflow` is relative. After a move it would go on
writing into the old folder, and make that folder anew.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hfi_core.errors import UserError
from hfi_core.params import Params, Tracking
from hfi_core.pipeline.layout import PARAMS

_COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Columns of MLflow's database that hold addresses of artifacts, by table."""
RELOCATE = "`hfi doctor --relocate` points the records to this folder."
_DEPTH = 2
"""Artifacts of an experiment lie in `mlruns/NUMBER`, this many folders below the project."""


def database_file(tracking: Tracking) -> Path | None:
    """Return the path of MLflow's SQLite database; None if `tracking.mlflow` is something else."""
    file = tracking.mlflow.removeprefix("sqlite:///")
    return Path(file.partition("?")[0]) if file != tracking.mlflow else None


def read_location(file: Path, experiment: str) -> str | None:
    """Return the artifact location of an experiment in a SQLite database, without MLflow; None if it has none yet."""
    if not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            query = "SELECT artifact_location FROM experiments WHERE name = ?"
            row = database.execute(query, (experiment,)).fetchone()
    except sqlite3.Error:  # MLflow has not made its tables, or says what is wrong
        return None
    return row[0] if row else None


def find_old_folder(params: Params) -> Path | None:
    """Return the folder in which MLflow's records were made, if the project was moved or copied from there.

    That is the case if its database lies in this project, and its artifacts in the folder of a project that is gone or
    is another one. Artifacts in any other folder are where somebody wants them.
    """
    file = database_file(params.tracking)
    location = file and read_location(file, params.tracking.experiment)
    if file is None or not location or not _is_inside(file):
        return None
    path = _local_path(location)
    if path is None or len(path.parents) <= _DEPTH or path.parent.name != "mlruns":
        return None
    old = path.parents[_DEPTH - 1]
    if old.resolve() == Path.cwd().resolve() or (old.exists() and not (old / PARAMS).exists()):
        return None
    return old


def require_present_folder(params: Params) -> None:
    """Raise UserError if MLflow would write into the folder from which this project was moved or copied."""
    if old := find_old_folder(params):
        raise UserError(f"{describe_move(old)} To fix this: `hfi doctor --relocate`.")


def describe_move(old: Path) -> str:
    """Return a sentence about a project that was moved or copied from `old`."""
    return f"This project was moved or copied from {old}, and MLflow's database still names artifacts there."


def relocate(params: Params) -> int:
    """Point MLflow's records of the old folder to this one; return how many addresses changed. Moves no file.

    Raises UserError if the database cannot be written.
    """
    old, file = find_old_folder(params), database_file(params.tracking)
    if old is None or file is None:
        return 0
    changed = 0
    try:
        with closing(sqlite3.connect(file)) as database, database:
            for table, columns in _COLUMNS.items():
                present = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
                for column in present.intersection(columns):
                    changed += _replace(database, table, column, old)
    except sqlite3.Error as error:
        raise UserError(
            f"{file} could not be changed: {error}. To fix this: stop what uses it, and run this command again."
        ) from error
    return changed


def _replace(database: sqlite3.Connection, table: str, column: str, old: Path) -> int:
    changed = 0
    for prefix, new in ((f"{old}/", f"{Path.cwd()}/"), (f"{old.as_uri()}/", f"{Path.cwd().as_uri()}/")):
        changed += database.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
            (new, len(prefix) + 1, len(prefix), prefix),
        ).rowcount
    return changed


def _is_inside(file: Path) -> bool:
    return file.resolve().is_relative_to(Path.cwd().resolve())


def _local_path(location: str) -> Path | None:
    scheme, _, _ = location.partition(":")
    if location.startswith("/"):
        return Path(location)
    return Path(unquote(urlsplit(location).path)) if scheme == "file" else None
