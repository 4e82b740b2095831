"""The Prefect tasks: one for each stage, one run a unit, and tasks that talk over a network, which are retried.

DVC is the only cache. Science is not retried: what failed once fails again.
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

from flows.execution.parallelism import ONE_PROCESS, Parallelism
from flows.execution.unit import run_unit
from flows.releases import register
from flows.tracking import runs
from flows.versioning import repo, results_branch
from flows.versioning.dvc_yaml import require_current
from hfi_core.errors import causes
from hfi_core.params import Params
from hfi_core.pipeline.graph import Unit
from hfi_core.pipeline.stage import Stage

RETRIES = 4
LONGEST = 6 * 3600.0
"""Seconds of one try: what hangs so long is not tried again, and the next run does it."""
_FIRST_PAUSE = 2.0
"""Seconds; each further pause is twice as long."""
_PASSING = {
    "builtins.ConnectionError", "builtins.TimeoutError",
    "requests.exceptions.ConnectionError", "requests.exceptions.Timeout", "requests.exceptions.RetryError",
    "httpx.TransportError", "botocore.exceptions.ConnectionError", "botocore.exceptions.HTTPClientError",
    "psycopg.OperationalError",
}  # fmt: skip
"""By name: whose library raised it is imported already."""


def is_passing(error: BaseException) -> bool:
    """Whether a network or a server at its other end is the cause, so that another try may succeed."""
    return any(
        f"{kind.__module__}.{kind.__name__}" in _PASSING for cause in causes(error) for kind in type(cause).__mro__
    )


def network_task(function: Callable[..., Any], name: str, run_name: str) -> Task:
    """The task of a function that is safe to call again."""
    return Task(
        function,
        name=name,
        task_run_name=run_name,
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(_FIRST_PAUSE),
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_worth_a_try,
        timeout_seconds=LONGEST,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def _is_worth_a_try(task: Task, run: Any, state: Any) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and not isinstance(error, TaskRunTimeoutError) and is_passing(error)


_EVERY_SECONDS = 5.0
"""Between two updates of a progress artifact."""
_LEAST_SECONDS = 0.001
"""For a task that is too late already: a timeout of 0 would be none."""


def stage_task(stage: Stage, end: float | None = None) -> Task:
    """The task of a stage; its runs are named after the unit. `end`: when it is stopped, on the monotonic clock."""
    return Task(
        run_and_keep,
        name=stage.name,
        task_run_name="{unit.address}",
        description=f"Revision {stage.revision}; {stage.function}",
        retries=0,
        timeout_seconds=None if end is None else max(end - time.monotonic(), _LEAST_SECONDS),
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def run_and_keep(unit: Unit, params: Params, parent: str | None, spread: Parallelism = ONE_PROCESS) -> None:
    """Run a unit, keep its outputs in DVC, record it in MLflow."""
    done = run_unit(unit, params, also=ProgressArtifact(unit.address), spread=spread)
    require_current(params)  # the lock takes the unit's command from dvc.yaml as it is now
    repo.commit_outputs(unit.address)
    runs.record_unit(params, done, parent)


def register_release(params: Params, parent: str | None) -> register.Registration:
    """Register the release that lies here, once."""
    return register.register(params, parent=parent)


register_task = network_task(register_release, "register", "register {params.release.model}")


def record_run(params: Params, run: str) -> results_branch.Record | None:
    """Record what the run has left in DVC's remote and on a branch, where params ask for it."""
    return results_branch.record_results(params, run)


record_task = network_task(record_run, "record", "record on {params.versioning.branch}")


class ProgressArtifact:
    """How far a unit is, in Prefect's UI; a server out of reach stops it, not the unit."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._id: UUID | None = None
        self._next = time.monotonic() + _EVERY_SECONDS
        self._lost = False

    def __call__(self, done: int, total: int, what: str) -> None:
        if self._lost or time.monotonic() < self._next:
            return
        try:
            self._show(100 * done / max(total, 1), f"{self._address}: {what}")
        except Exception:  # whatever the client raises, the picture of progress is not worth a run
            self._lost = True
        self._next = time.monotonic() + _EVERY_SECONDS

    def _show(self, percent: float, text: str) -> None:
        if self._id is None:
            key = self._address.replace("@", "-").replace("_", "-")
            self._id = create_progress_artifact(percent, key=key, description=text)
        else:
            update_progress_artifact(self._id, progress=percent, description=text)
