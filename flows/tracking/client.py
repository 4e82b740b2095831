"""Connect to MLflow's tracking server and registry, and turn failures into user errors or warnings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flows.runtime.console import warn
from hfi_core.errors import UserError, first_line
from hfi_core.params import Params


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
            "  To fix this: correct tracking.mlflow in params.yaml, or start the server."
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
