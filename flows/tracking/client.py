"""Connect to MLflow's tracking server and registry, and turn failures into user errors or warnings."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flows.runtime.console import warn
from hfi_core.errors import UserError, first_line
from hfi_core.params import Params

_DEFAULT_ARTIFACTS = Path("mlruns")
"""MLflow's folder for artifacts beside a database, relative to the project."""


def registry_client(params: Params) -> Any:
    """Return a client of the registry in `tracking.mlflow`."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(params.tracking.mlflow, params.tracking.mlflow)


@contextmanager
def registry_errors_as_user_errors(params: Params) -> Iterator[None]:
    """Turn MLflow's errors into UserErrors that name the registry."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLflow's registry at {params.tracking.mlflow} is out of reach: {first_line(error)}\n"
            "  To fix this: correct tracking.mlflow in operations.yaml, or start the server."
        ) from error


def search_all(search: Callable[..., Any], *arguments: str) -> Iterator[Any]:
    """Yield every result of one of MLflow's paged searches."""
    token = None
    while True:
        page = search(*arguments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def warn_on_failure(name: str) -> Iterator[None]:
    """Turn any failure of the block into a warning that `name` was not recorded: no result depends on MLflow."""
    try:
        yield
    except Exception as error:  # MLflow, its store and its network raise many types
        warn(f"MLflow could not record {name} ({first_line(error, with_type=True)}). No result is lost.")


def tracking_client(params: Params):
    """Return MLflow's client and the id of the project's experiment, which is created if it is missing."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(params.tracking.mlflow)
    return client, get_or_create_experiment(client, params)


def get_or_create_experiment(client: Any, params: Params) -> str:
    """Return the id of the experiment in `tracking.experiment`, which is created if it is missing."""
    from mlflow.exceptions import MlflowException

    name = params.tracking.experiment
    if experiment := client.get_experiment_by_name(name):
        return experiment.experiment_id
    try:
        return client.create_experiment(name)
    except MlflowException:  # another process has just created it
        return client.get_experiment_by_name(name).experiment_id


def artifact_location(params: Params, ask_server: bool = False) -> str | None:
    """Return where MLflow keeps the artifacts of the project's experiment; None if that is not known here.

    A server that hands artifacts on (`mlflow-artifacts:`) does not say where it keeps them.

    Args:
        ask_server: also ask a server, which may take a while if it is out of reach.
    """
    if file := database_file(params):
        return read_location(file, params.tracking.experiment) or str(_DEFAULT_ARTIFACTS)
    if not ask_server:
        return None
    try:
        from mlflow.tracking import MlflowClient

        uri = params.tracking.mlflow
        experiment = MlflowClient(uri, uri).get_experiment_by_name(params.tracking.experiment)
    except Exception:  # out of reach: what needs it says so
        return None
    location = experiment.artifact_location if experiment else "mlflow-artifacts:"
    return None if location.startswith("mlflow-artifacts:") else location


def database_file(params: Params) -> Path | None:
    """Return the path of MLflow's SQLite database; None if `tracking.mlflow` is something else."""
    file = params.tracking.mlflow.removeprefix("sqlite:///")
    return Path(file.partition("?")[0]) if file != params.tracking.mlflow else None


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
