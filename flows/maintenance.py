"""The Prefect flow that maintains a project's deployment every minute, in the project's folder. It is idempotent."""

from typing import Annotated

from prefect import flow, get_client
from prefect.states import Completed, State
from pydantic import Field

from flows.orchestration import run_log
from flows.orchestration.notifications import FLOW_SETTINGS
from flows.orchestration.recovery import resume, revive
from flows.orchestration.runs import start_on_feedback
from flows.runtime import logs
from hfi_core.params import load_params
from hfi_core.pipeline.layout import PARAMS

logs.configure_logging()  # in a worker's process nobody else does
run_log.connect()

_MAX_SECONDS = 900.0
"""The grace is included. A run that hangs, on the store or the server, would keep the next ones away."""


@flow(name="tend", timeout_seconds=_MAX_SECONDS, **FLOW_SETTINGS)
def tend(
    deployment: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")],
    judgements: Annotated[int, Field(ge=1)] | None = None,
    grace: Annotated[float, Field(ge=0, le=600)] = 15.0,
) -> State:
    """Maintain the runs of `deployment` ("safeguard/NAME").

    It schedules runs again whose process died with its worker. `grace` is the time in seconds in which the worker may
    report the end itself. It resumes runs that wait for people when there is enough feedback. It starts a run when the
    store has `judgements` new judgements that no snapshot holds; with null, feedback starts no run.
    """
    with get_client(sync_client=True) as client:
        done = [f"scheduled again: {name}" for name in revive(client, deployment, grace)]
        if resumed := resume(client, deployment):
            done.append(f"resumed: {resumed}")
        if judgements and (name := start_on_feedback(client, deployment, load_params(PARAMS), judgements)):
            done.append(f"started for new feedback: {name}")
    return Completed(message="; ".join(done) or "Nothing to do.")
