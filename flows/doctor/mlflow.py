"""Check MLflow: server, version, and whether runs, artifacts and models can be recorded."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from flows.doctor.check import RESPONSE_SECONDS, Finding, with_timeout
from flows.tracking.relocation import RELOCATE, describe_move, find_old_folder
from flows.tracking.timeouts import short_timeouts
from hfi_core.params import Params
from hfi_core.secrets import hide_secrets

_NAME = "MLflow"
_REMEDY = (
    "Correct tracking.mlflow in operations.yaml, or start the server. If it asks for an account, set "
    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
)
_ARTIFACTS = "Correct the server's --artifacts-destination, or its credentials for it."
_PROBE = "probe.txt"


def check(params: Params) -> Iterator[Finding]:
    """Yield findings on server, version, runs, artifacts and registry."""
    uri = params.tracking.mlflow
    file = uri.removeprefix("sqlite:///")
    if file != uri and not Path(file).exists():
        yield Finding(_NAME, True, f"{file} does not exist yet; the first run creates it")
        return
    if old := find_old_folder(params):
        yield Finding(_NAME, False, describe_move(old), RELOCATE)
        return
    yield from with_timeout(_NAME, _REMEDY, lambda: _check_server(params))


def _check_server(params: Params) -> Iterator[Finding]:
    # One retry: the server drops the connection after a failed upload, which the next request notices.
    with short_timeouts(RESPONSE_SECONDS, retries=1):
        uri = params.tracking.mlflow
        if uri.startswith(("http://", "https://")):
            yield _check_version(uri)
        else:
            _connect(uri)
        from mlflow.tracking import MlflowClient

        client = MlflowClient(uri, uri)
        known = client.get_experiment_by_name(params.tracking.experiment)
        yield Finding(_NAME, True, f"{hide_secrets(uri)} answers")
        experiment = known.experiment_id if known else client.create_experiment(params.tracking.experiment)
        run = client.create_run(experiment, tags={"hfi.doctor": "probe"}, run_name="hfi doctor").info.run_id
        try:
            yield Finding("MLflow runs", True, f"a run can be created in experiment {params.tracking.experiment!r}")
            yield from with_timeout("MLflow artifacts", _ARTIFACTS, lambda: _check_artifacts(client, run))
        finally:
            client.set_terminated(run)
            client.delete_run(run)
        client.search_registered_models(max_results=1)
        yield Finding("MLflow registry", True, "answers")


def _connect(uri: str) -> None:
    """Connect to a database without MLflow, which would try for minutes."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(uri)
    try:
        inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _check_version(uri: str) -> Finding:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    response = http_request(get_default_host_creds(uri), "/version", "GET")
    response.raise_for_status()
    server, client = response.text.strip(), version("mlflow")
    ok = server.split(".")[:2] == client.split(".")[:2]
    message = server if ok else f"the server has {server[:20]}, this machine {client}"
    return Finding("MLflow version", ok, message, "Install the same minor version on both.", needed=False)


def _check_artifacts(client, run: str) -> Iterator[Finding]:
    client.log_text(run, "Written by `hfi doctor --deep`.\n", _PROBE)
    ok = _PROBE in [artifact.path for artifact in client.list_artifacts(run)]
    message = "can be written and read" if ok else "what was written is not there"
    yield Finding("MLflow artifacts", ok, message, _ARTIFACTS)
