"""The Prefect tasks: one for each stage, one run a unit. DVC is the only cache, and science is not retried."""

import time
from uuid import UUID

from flows.environment import settle

settle()

from prefect import Task  # noqa: E402 - settings first
from prefect.artifacts import create_progress_artifact, update_progress_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402

from flows import registry, tracking, versioning  # noqa: E402
from flows.execution import run_unit  # noqa: E402
from hfi_core.params import Params  # noqa: E402
from hfi_core.stage import Stage, Unit  # noqa: E402

_EVERY_SECONDS = 5.0
"""Between two updates of a progress artifact."""


def stage_task(stage: Stage) -> Task:
    """The task of a stage; its runs are named after the unit."""
    return Task(
        run_and_keep,
        name=stage.name,
        task_run_name="{unit.address}",
        description=f"Revision {stage.revision}; {stage.function}",
        tags=[stage.name],
        retries=0,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def run_and_keep(unit: Unit, params: Params, parent: str | None) -> None:
    """Run a unit, keep its outputs in DVC, record it in MLflow."""
    done = run_unit(unit, params, also=ProgressArtifact(unit.address))
    versioning.commit(unit.address)
    tracking.record(params, done, parent)


def register_release(params: Params, parent: str | None) -> registry.Registration:
    """Register the release that lies here, once."""
    return registry.register(params, parent=parent)


register_task = Task(
    register_release,
    name="register",
    task_run_name="register {params.release.model}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)


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
