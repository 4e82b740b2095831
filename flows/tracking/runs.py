"""Log one MLflow run for each unit that was computed, after it has ended. A failure only prints a warning."""

import csv
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from flows.execution.unit import FinishedUnit
from flows.tracking.client import tracking_client, warn_on_failure
from flows.tracking.relocation import require_present_folder
from flows.versioning.git import git_revision
from hfi_core.io.hashing import sha256_of
from hfi_core.params import Params
from hfi_core.pipeline.graph import Unit, params_digest, params_of, pipeline_key
from hfi_core.secrets import hide_passwords, hide_secrets

PUBLIC_URL_VARIABLE = "HFI_MLFLOW_UI"
"""Variable with the address at which browsers reach MLflow, if it differs from `tracking.mlflow`."""
_MAX_PICTURES = 12
"""Pictures that are logged from each folder."""
_READABLE = {".json", ".csv", ".html", ".md"}
_MAX_BYTES = 20 * 2**20
"""Largest file that is logged."""


@contextmanager
def pipeline_run(params: Params, name: str) -> Iterator[str | None]:
    """Create the parent run of one pipeline run; yield its id, or None if MLflow is out of reach.

    Raises UserError if the project was moved or copied: hours of work would not be recorded.
    """
    require_present_folder(params)
    run_id = None
    with warn_on_failure("this run"):
        client, experiment = tracking_client(params)
        revision, dirty = git_revision()
        tags = _tags(params) | {"hfi.git.revision": revision, "hfi.git.dirty": str(dirty).lower()}
        run_id = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        _log_params(client, run_id, params.model_dump(mode="json"))
    status = "KILLED"
    try:
        yield run_id
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        if run_id:
            with warn_on_failure("the end of this run"):
                client.set_terminated(run_id, status)


def record_unit(params: Params, finished: FinishedUnit, parent: str | None = None) -> None:
    """Log a finished unit as a run, below the run `parent` if there is one."""
    with warn_on_failure(finished.unit.address):
        _record_unit(params, finished, parent)


def record_metrics(params: Params, run_id: str | None, metrics: Mapping[str, float]) -> None:
    """Log the metrics of a whole pipeline on its parent run, so that MLflow can compare pipelines."""
    if run_id:
        with warn_on_failure("the comparison"):
            _log_metrics(tracking_client(params)[0], run_id, [(name, value, 0) for name, value in metrics.items()])


def run_url(params: Params, run_id: str | None) -> str | None:
    """Return the address of a run's page, or None if no server has one."""
    server = hide_passwords(os.environ.get(PUBLIC_URL_VARIABLE) or params.tracking.mlflow).rstrip("/")
    if run_id is None or not server.startswith(("http://", "https://")):
        return None
    with warn_on_failure("the address of this run"):
        return f"{server}/#/experiments/{tracking_client(params)[1]}/runs/{run_id}"


def metric_name(metric: str) -> str:
    """Return MLflow's name of a metric: it forbids `@`, and groups metrics by the part before a slash."""
    return metric.replace("@", "/")


def _tags(params: Params) -> dict[str, str]:
    return {
        "hfi.pipeline": pipeline_key(params, git_revision()[0]),
        "hfi.params": params_digest(params),
        "hfi.feedback.simulated": str(bool(params.feedback.simulated)).lower(),
    }


def _record_unit(params: Params, finished: FinishedUnit, parent: str | None) -> None:
    client, experiment = tracking_client(params)
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    unit, cost = finished.unit, finished.cost
    tags = _tags(params) | {
        "hfi.stage": unit.stage.name,
        "hfi.unit": unit.unit,
        "hfi.revision": str(unit.stage.revision),
        "hfi.device": finished.device,
    }
    if parent:
        tags[MLFLOW_PARENT_RUN_ID] = parent
    started = round(cost.started.timestamp() * 1000)
    run_id = client.create_run(experiment, start_time=started, tags=tags, run_name=unit.address).info.run_id
    _log_params(client, run_id, params_of(unit, params))
    spent = {
        "cost/seconds": cost.seconds,
        "cost/peak_memory_bytes": cost.peak_memory,
        "cost/peak_device_memory_bytes": cost.peak_device_memory,
    }
    _log_metrics(client, run_id, [(name, value, 0) for name, value in (finished.metrics | spent).items()])
    for output in unit.outputs.values():
        for curve in sorted(output.rglob("steps.csv")) if output.is_dir() else []:
            _log_metrics(client, run_id, _read_curve(curve, curve.parent.relative_to(output).as_posix()))
        _log_files(client, run_id, output)
    _log_data(client, run_id, finished.unit)
    ended = cost.started + timedelta(seconds=cost.seconds)
    client.set_terminated(run_id, "FINISHED", end_time=round(ended.timestamp() * 1000))


def _log_params(client, run_id: str, values: Mapping[str, Any]) -> None:
    from mlflow.entities import Param
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

    flat_params = dict(_flatten(values))
    entities = [Param(metric_name(key), value[:MAX_PARAM_VAL_LENGTH]) for key, value in flat_params.items()]
    for batch in _batches(entities, MAX_PARAMS_TAGS_PER_BATCH):
        client.log_batch(run_id, params=batch)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", hide_secrets(value if isinstance(value, str) else json.dumps(value))


def _log_metrics(client, run_id: str, rows: list[tuple[str, float, int]]) -> None:
    from mlflow.entities import Metric
    from mlflow.utils.validation import MAX_METRICS_PER_BATCH

    now = round(time.time() * 1000)
    entities = [Metric(metric_name(name), float(value), now, step) for name, value, step in rows]
    for batch in _batches(entities, MAX_METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=batch)


def _read_curve(path: Path, folder: str) -> list[tuple[str, float, int]]:
    """Return (metric, value, step) of each point of a curve; a folder below the output is part of the metric's name."""
    prefix = "" if folder == "." else f"{folder}/"
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            (prefix + name, float(value), int(row["step"]))
            for row in csv.DictReader(stream)
            for name, value in row.items()
            if name != "step" and value
        ]


def _log_files(client, run_id: str, output: Path) -> None:
    """Log some pictures of each folder, and the small readable files."""
    if output.is_file():
        client.log_artifact(run_id, str(output), "outputs")
        return
    for folder in [output, *sorted(path for path in output.rglob("*") if path.is_dir())]:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.stat().st_size <= _MAX_BYTES)
        pictures = [path for path in files if path.suffix == ".png"][:_MAX_PICTURES]
        readable = [path for path in files if path.suffix in _READABLE]
        target = (Path("outputs") / folder.relative_to(output.parent)).as_posix()
        for path in [*pictures, *readable]:
            client.log_artifact(run_id, str(path), target)


def _log_data(client, run_id: str, unit: Unit) -> None:
    """Log the digests of a unit's inputs and outputs as dataset entries."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT
    from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE

    entries = []
    for context, paths in (("input", unit.inputs), ("output", unit.outputs)):
        for path in paths.values():
            digest = sha256_of(path)
            source = json.dumps({"uri": path.as_posix(), "sha256": digest})
            dataset = Dataset(path.as_posix(), digest[:MAX_DATASET_DIGEST_SIZE], "local", source)
            entries.append(DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)]))
    client.log_inputs(run_id, entries)


def _batches(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
