"""The Prefect tasks: one for each stage, one run a unit. DVC is the only cache, and science is not retried."""

import time
from uuid import UUID

from prefect import Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from flows.execution.parallelism import ALONE, Spread
from flows.execution.unit import run_unit
from flows.orchestration.retrying import network_task
from flows.releases import register
from flows.tracking import runs
from flows.versioning import recording, repo
from flows.versioning.dvc_yaml import require_current
from hfi_core.params import Params
from hfi_core.pipeline.graph import Stage, Unit

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


def run_and_keep(unit: Unit, params: Params, parent: str | None, spread: Spread = ALONE) -> None:
    """Run a unit, keep its outputs in DVC, record it in MLflow."""
    done = run_unit(unit, params, also=ProgressArtifact(unit.address), spread=spread)
    require_current(params)  # the lock takes the unit's command from dvc.yaml as it is now
    repo.commit(unit.address)
    runs.record(params, done, parent)


def register_release(params: Params, parent: str | None) -> register.Registration:
    """Register the release that lies here, once."""
    return register.register(params, parent=parent)


register_task = network_task(register_release, "register", "register {params.release.model}")


def record_run(params: Params, run: str) -> recording.Record | None:
    """Record what the run has left in DVC's remote and on a branch, where params ask for it."""
    return recording.record_results(params, run)


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
