"""Connect to MLflow: the tracking client, the registry client, and errors that name the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flows.runtime.console import warn
from hfi_core.errors import UserError, first_line
from hfi_core.params import Params


def registry_client(params: Params) -> Any:
    """A client of the registry that params name."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(params.tracking.mlflow, params.tracking.mlflow)


@contextmanager
def registry_errors_as_user_errors(params: Params) -> Iterator[None]:
    """Raise UserError in place of what MLflow raises where its registry is out of reach."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLflow's registry at {params.tracking.mlflow} is out of reach: {first_line(error)}\n"
            "Mend tracking.mlflow in params.yaml or the server."
        ) from error


def search_all(search: Callable[..., Any], *arguments: str) -> Iterator[Any]:
    """Everything that one of MLflow's searches finds, page after page."""
    token = None
    while True:
        page = search(*arguments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def warn_on_failure(what: str) -> Iterator[None]:
    """Turn any failure inside into a warning: the stages' results do not depend on who records them."""
    try:
        yield
    except Exception as error:  # MLflow, its store and its network raise what they like
        warn(f"MLflow could not record {what} ({first_line(error, with_type=True)}). The result is kept.")


def tracking_client(params: Params):
    """Return MLflow's client and the id of the project's experiment, which is created if it is missing."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(params.tracking.mlflow)
    return client, get_or_create_experiment(client, params)


def get_or_create_experiment(client: Any, params: Params) -> str:
    """The id of the experiment that params name, which is made where there is none."""
    from mlflow.exceptions import MlflowException

    name = params.tracking.experiment
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    try:
        return client.create_experiment(name)
    except MlflowException:  # somebody else has just made it
        return client.get_experiment_by_name(name).experiment_id
