"""The Prefect tasks: one for each stage, with one run for each unit, and tasks that use a network, which are retried.

DVC is the only cache. A stage is not retried: what failed once fails again.
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect import Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.task_engine import TaskRunTimeoutError
from prefect.tasks import exponential_backoff

from flows.execution.input_guard import require_params
from flows.execution.parallelism import ONE_PROCESS, Parallelism
from flows.execution.unit import remove_checkpoints, run_unit
from flows.releases import register
from flows.tracking import runs
from flows.versioning import repo, results_branch
from flows.versioning.dvc_yaml import require_current
from hfi_core.errors import causes
from hfi_core.params import Params
from hfi_core.pipeline.graph import Unit
from hfi_core.pipeline.stage import Stage

RETRIES = 4
MAX_SECONDS = 6 * 3600.0
"""Time of one try. What hangs so long is not tried again; the next run does it."""
_FIRST_PAUSE_SECONDS = 2.0
"""Each further pause is twice as long."""
_TEMPORARY = {
    "builtins.ConnectionError", "builtins.TimeoutError",
    "requests.exceptions.ConnectionError", "requests.exceptions.Timeout", "requests.exceptions.RetryError",
    "httpx.TransportError", "botocore.exceptions.ConnectionError", "botocore.exceptions.HTTPClientError",
    "psycopg.OperationalError",
}  # fmt: skip
"""Types of errors by name: if an error was raised, its library is imported, and no other has to be."""


def is_temporary(error: BaseException) -> bool:
    """Return whether a network or a server at its other end is the cause, so that another try may succeed."""
    return any(
        f"{kind.__module__}.{kind.__name__}" in _TEMPORARY for cause in causes(error) for kind in type(cause).__mro__
    )


def network_task(function: Callable[..., Any], name: str, run_name: str) -> Task:
    """Return the task of a function that is safe to call again."""
    return Task(
        function,
        name=name,
        task_run_name=run_name,
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(_FIRST_PAUSE_SECONDS),
        retry_jitter_factor=0.5,
        retry_condition_fn=_should_retry,
        timeout_seconds=MAX_SECONDS,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def _should_retry(task: Task, run: Any, state: Any) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and not isinstance(error, TaskRunTimeoutError) and is_temporary(error)


_UPDATE_SECONDS = 5.0
"""Time between two updates of a progress artifact."""
_MIN_TIMEOUT = 0.001
"""Seconds, for a task that starts after its deadline: Prefect takes a timeout of 0 for no timeout."""


def stage_task(stage: Stage, deadline: float | None = None) -> Task:
    """Return the task of a stage; its runs are named after the unit.

    `deadline` is when the task is stopped, on the monotonic clock.
    """
    return Task(
        run_and_commit,
        name=stage.name,
        task_run_name="{unit.address}",
        description=f"Revision {stage.revision}; {stage.function}",
        retries=0,
        timeout_seconds=None if deadline is None else max(deadline - time.monotonic(), _MIN_TIMEOUT),
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def run_and_commit(unit: Unit, params: Params, parent: str | None, parallelism: Parallelism = ONE_PROCESS) -> None:
    """Run a unit, commit its outputs to DVC, remove its checkpoints, record it in MLflow."""
    finished = run_unit(unit, params, ProgressArtifact(unit.address), parallelism)
    require_current(params)  # DVC reads the unit's command from the present dvc.yaml
    repo.commit_outputs(unit.address, before_retry=lambda: require_params(unit, params))
    remove_checkpoints(unit.address)
    runs.record_unit(params, finished, parent)


def register_release(params: Params, parent: str | None) -> register.Registration:
    """Register the release of this workspace, once."""
    return register.register(params, parent=parent)


register_task = network_task(register_release, "register", "register {params.release.model}")


def record_run(params: Params, run: str) -> results_branch.Record | None:
    """Record the results of a run in DVC's remote and on a branch, if params say so."""
    return results_branch.record_results(params, run)


record_task = network_task(record_run, "record", "record on {params.versioning.branch}")


class ProgressArtifact:
    """Progress of a unit in Prefect's UI. A server out of reach stops the updates, not the unit."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._id: UUID | None = None
        self._next_update = time.monotonic() + _UPDATE_SECONDS
        self._failed = False

    def __call__(self, done: int, total: int, description: str) -> None:
        if self._failed or time.monotonic() < self._next_update:
            return
        try:
            self._show(100 * done / max(total, 1), f"{self._address}: {description}")
        except Exception:  # whatever the client raises: a run must not fail because of its progress artifact
            self._failed = True
        self._next_update = time.monotonic() + _UPDATE_SECONDS

    def _show(self, percent: float, text: str) -> None:
        if self._id is None:
            key = self._address.replace("@", "-").replace("_", "-")
            self._id = create_progress_artifact(percent, key=key, description=text)
        else:
            update_progress_artifact(self._id, progress=percent, description=text)
