"""Does MLflow answer, in a version that fits, and may runs, artifacts and models be recorded there?"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from flows.doctor.check import SECONDS, Finding, with_timeout
from hfi_core.params import Params
from hfi_core.secrets import redacted

_NAME = "MLflow"
_MEND = (
    "Mend tracking.mlflow in params.yaml, or the server. Where it asks who you are: MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
)
_ARTIFACTS = "Mend the server's --artifacts-destination, or its credentials there."
_HASTY = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": f"{SECONDS:.0f}",
    # One: the server drops the connection after a failed upload, and the next request finds that out.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
}
_PROBE = "probe.txt"


def check(params: Params) -> Iterator[Finding]:
    """Findings on server, version, runs, artifacts and registry."""
    uri = params.tracking.mlflow
    file = uri.removeprefix("sqlite:///")
    if file != uri and not Path(file).exists():
        yield Finding(_NAME, True, f"{file} is not made yet; the first run makes it")
        return
    yield from with_timeout(_NAME, _MEND, lambda: _ask(params))


def _ask(params: Params) -> Iterator[Finding]:
    with _environment(_HASTY):
        uri = params.tracking.mlflow
        if uri.startswith(("http://", "https://")):
            yield _version(uri)
        else:
            _reach(uri)
        from mlflow.tracking import MlflowClient

        client = MlflowClient(uri, uri)
        found = client.get_experiment_by_name(params.tracking.experiment)
        yield Finding(_NAME, True, f"{redacted(uri)} answers")
        experiment = found.experiment_id if found else client.create_experiment(params.tracking.experiment)
        run = client.create_run(experiment, tags={"hfi.doctor": "probe"}, run_name="hfi doctor").info.run_id
        try:
            yield Finding("MLflow runs", True, f"a run can be made in experiment {params.tracking.experiment!r}")
            yield from with_timeout("MLflow artifacts", _ARTIFACTS, lambda: _artifacts(client, run))
        finally:
            client.set_terminated(run)
            client.delete_run(run)
        client.search_registered_models(max_results=1)
        yield Finding("MLflow registry", True, "answers")


def _reach(uri: str) -> None:
    """Ask a database by ourselves: MLflow would try for minutes."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(uri)
    try:
        inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _version(uri: str) -> Finding:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer = http_request(get_default_host_creds(uri), "/version", "GET")
    answer.raise_for_status()
    theirs, ours = answer.text.strip(), version("mlflow")
    well = theirs.split(".")[:2] == ours.split(".")[:2]
    told = theirs if well else f"the server has {theirs[:20]}, this machine {ours}"
    return Finding("MLflow version", well, told, "Install the same minor version on both.", needed=False)


def _artifacts(client, run: str) -> Iterator[Finding]:
    client.log_text(run, "Written by `hfi doctor --deep`.\n", _PROBE)
    well = _PROBE in [found.path for found in client.list_artifacts(run)]
    told = "can be written and read" if well else "what was written is not there"
    yield Finding("MLflow artifacts", well, told, _ARTIFACTS)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
