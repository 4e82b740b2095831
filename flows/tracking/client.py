"""Connect to MLflow's tracking server and registry, and turn failures into user errors or warnings."""

import logging
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from flows.runtime.console import warn
from flows.tracking.experiment_folder import find_project_folder
from flows.tracking.relocation import database_file, read_location, require_present_folder
from hfi_core.errors import UserError, first_line
from hfi_core.io.atomic import is_disk_full
from hfi_core.params import Params, Tracking

# It prints a traceback before it raises.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

_DEFAULT_ARTIFACTS = Path("mlruns")
"""MLflow's folder for artifacts beside a database, relative to the project."""


def registry_client(params: Params) -> Any:
    """Return a client of the registry in `tracking.mlflow`.

    Raises UserError if the project was moved or copied, and MLflow's records still name its old folder.
    """
    from mlflow.tracking import MlflowClient

    require_present_folder(params)
    return MlflowClient(params.tracking.mlflow, params.tracking.mlflow)


@contextmanager
def registry_errors_as_user_errors(tracking: Tracking) -> Iterator[None]:
    """Turn MLflow's errors into UserErrors that name the registry."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise UserError(f"MLflow's registry at {tracking.mlflow} is out of reach: {describe_failure(error)}") from error


def describe_failure(error: BaseException) -> str:
    """Return why MLflow failed, and how to fix that."""
    if is_disk_full(error):
        return "the disk is full.\n  To fix this: free some space."
    return f"{first_line(error)}\n  To fix this: correct tracking.mlflow in operations.yaml, or start the server."


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
        reason = "the disk is full" if is_disk_full(error) else first_line(error, with_type=True)
        warn(f"MLflow could not record {name} ({reason}). No result is lost.")


def tracking_client(params: Params):
    """Return MLflow's client and the id of the project's experiment, which is created if it is missing.

    An experiment that DVC runs in a temporary copy of the project is recorded in the project.

    Raises UserError as `registry_client` does.
    """
    from mlflow.tracking import MlflowClient

    project, address = find_project_folder(), params.tracking.mlflow
    if project != Path.cwd() and (file := database_file(params.tracking)):
        address = f"sqlite:///{project / file}"  # MLflow opens it again later, in the copy
    with chdir(project):  # MLflow puts the artifacts of a new experiment into the current folder
        require_present_folder(params)
        client = MlflowClient(address)
        return client, get_or_create_experiment(client, params.tracking)


def get_or_create_experiment(client: Any, tracking: Tracking) -> str:
    """Return the id of the experiment in `tracking.experiment`, which is created if it is missing."""
    from mlflow.exceptions import MlflowException

    name = tracking.experiment
    if experiment := client.get_experiment_by_name(name):
        if experiment.lifecycle_stage == "deleted":
            raise UserError(
                f"The experiment {name!r} was deleted in MLflow. To fix this: restore it (`mlflow experiments restore "
                f"--experiment-id {experiment.experiment_id}`), or write another name in tracking.experiment."
            )
        return experiment.experiment_id
    try:
        return client.create_experiment(name)
    except MlflowException:  # another process has just created it
        return client.get_experiment_by_name(name).experiment_id


def artifact_location(params: Params, contact_server: bool = False) -> str | None:
    """Return where MLflow keeps the artifacts of the project's experiment; None if that is not known here.

    A server that hands artifacts on (`mlflow-artifacts:`) does not say where it keeps them.

    Args:
        contact_server: also query a server, which may take a while if it is out of reach.
    """
    if file := database_file(params.tracking):
        return read_location(file, params.tracking.experiment) or str(_DEFAULT_ARTIFACTS)
    if not contact_server:
        return None
    try:
        from mlflow.tracking import MlflowClient

        uri = params.tracking.mlflow
        experiment = MlflowClient(uri, uri).get_experiment_by_name(params.tracking.experiment)
    except Exception:  # out of reach: what needs it says so
        return None
    location = experiment.artifact_location if experiment else "mlflow-artifacts:"
    return None if location.startswith("mlflow-artifacts:") else location
