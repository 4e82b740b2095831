"""Check whether MLflow still has the version that this workspace registered: people delete things in its UI."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.releases.register import registered_version
from flows.runtime.time_limit import iterate_within
from flows.tracking.client import registry_client
from flows.tracking.relocation import database_file
from flows.tracking.timeouts import short_timeouts
from hfi_core.errors import first_line
from hfi_core.params import Params
from hfi_core.pipeline.release import release_digest

_MAX_SECONDS = 5.0
"""Time in which a tracking server has to answer."""
_QUERY = """
SELECT version.run_id, run.lifecycle_stage, run.experiment_id, experiment.lifecycle_stage
FROM model_versions AS version
JOIN model_version_tags AS tag ON tag.name = version.name AND tag.version = version.version
LEFT JOIN runs AS run ON run.run_uuid = version.run_id
LEFT JOIN experiments AS experiment ON experiment.experiment_id = run.experiment_id
WHERE version.name = ? AND version.version = ? AND version.current_stage IS NOT 'Deleted_Internal'
AND tag.key = 'hfi.release' AND tag.value = ?
"""


@dataclass(frozen=True)
class StoredVersion:
    """A registered version that MLflow has. Its run holds its figures and the pointers to its data."""

    run: str
    run_stage: str | None
    """`active` or `deleted`; None if MLflow has no such run any more."""
    experiment: str | None
    experiment_stage: str | None


def describe_registration(params: Params) -> str:
    """Return whether MLflow still has what this workspace registered, and what to do if it does not.

    A SQLite database is read without MLflow, whose client takes seconds to start. A server that does not answer soon
    is named, and raises no error.
    """
    model, number = registered_version()
    name = f"{model} version {number}"
    try:
        return describe(name, _read_version(params, model, number))
    except Exception as error:  # MLflow, its store and its network raise many types
        return (
            f"All is up to date, and was registered as {name}. Whether MLflow still has it could not be checked at "
            f"{params.tracking.mlflow}: {first_line(error)}"
        )


def describe(name: str, stored: StoredVersion | None) -> str:
    """Return what follows from what MLflow has of a version."""
    if stored is None:
        return (
            f"All is up to date, but MLflow no longer has {name}: somebody deleted it there.\n"
            "To register the release again: `hfi register`."
        )
    registered = f"All is up to date and registered as {name}"
    if stored.run_stage is None:
        return (
            f"{registered}, but MLflow no longer has its run {stored.run}, which promotion and `hfi gc` read.\n"
            "To fix this: delete the version in MLflow, then run `hfi register`."
        )
    if "deleted" not in (stored.run_stage, stored.experiment_stage):
        return "All is up to date and registered."
    deleted, command = f"its run {stored.run}", f"mlflow runs restore --run-id {stored.run}"
    if stored.experiment_stage == "deleted":
        deleted, command = "its experiment", f"mlflow experiments restore --experiment-id {stored.experiment}"
    return (
        f"{registered}, but {deleted} was deleted in MLflow, and `mlflow gc` removes it for good.\n"
        f"To fix this: restore it in MLflow's UI, or by `{command}`."
    )


def _read_version(params: Params, model: str, number: str) -> StoredVersion | None:
    if file := database_file(params.tracking):
        return _read_from_database(file, model, number)
    from mlflow.tracking import MlflowClient  # noqa: F401 - its seconds are not the server's

    with short_timeouts(_MAX_SECONDS):
        (version,) = iterate_within(_MAX_SECONDS, lambda: [_read_from_server(params, model, number)])
        return version


def _read_from_database(file: Path, model: str, number: str) -> StoredVersion | None:
    if not file.is_file():
        return None
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        row = database.execute(_QUERY, (model, int(number), release_digest())).fetchone()
    return StoredVersion(row[0], row[1], None if row[2] is None else str(row[2]), row[3]) if row else None


def _read_from_server(params: Params, model: str, number: str) -> StoredVersion | None:
    client = registry_client(params)
    version = _find(lambda: client.get_model_version(model, number))
    if version is None or version.tags.get("hfi.release") != release_digest():
        return None
    run = _find(lambda: client.get_run(version.run_id))
    if run is None:
        return StoredVersion(version.run_id, None, None, None)
    experiment = client.get_experiment(run.info.experiment_id)
    return StoredVersion(version.run_id, run.info.lifecycle_stage, experiment.experiment_id, experiment.lifecycle_stage)


def _find(read: Callable[[], Any]) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
