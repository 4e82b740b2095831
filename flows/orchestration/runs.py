"""Runs of a deployment: find those that go on or wait, and start one."""

from datetime import UTC, datetime
from typing import Any

from hfi_core.errors import UserError
from hfi_core.params import Params


def runs_of(client: Any, deployment: str, *types: str) -> list[Any]:
    """The runs of a deployment ("safeguard/NAME") in states of these types."""
    from prefect.client.schemas.filters import FlowRunFilter

    wanted = {
        "deployment_id": {"any_": [client.read_deployment_by_name(deployment).id]},
        "state": {"type": {"any_": list(types)}},
    }
    return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))


def last_ended(client: Any, deployment_id: Any, but: Any) -> Any | None:
    """The run of a deployment, by id, that ended last, passing over the run `but`; None if there is none."""
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = {
        "id": {"not_any_": [but]},
        "deployment_id": {"any_": [deployment_id]},
        "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}},
    }
    asked = {"flow_run_filter": FlowRunFilter.model_validate(wanted), "sort": FlowRunSort.END_TIME_DESC}
    return next(iter(client.read_flow_runs(**asked, limit=1)), None)


def going_among(client: Any, runs: list[str]) -> list[Any]:
    """Those of these runs, by id, that have not ended and wait for nothing."""
    from prefect.client.schemas.filters import FlowRunFilter

    wanted = {"id": {"any_": runs}, "state": {"type": {"any_": ["RUNNING", "PENDING"]}}}
    return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))


def waiting_runs(client: Any, deployment: str) -> list[Any]:
    """Those of its runs that wait for people: suspended by our own wait, not by a person in the UI."""

    found = runs_of(client, deployment, "PAUSED")
    return [run for run in found if (run.state.state_details.pause_key or "").startswith(PAUSE_KEY)]


def require_deployment(name: str) -> None:
    """Raise UserError unless the server has a deployment of this name ("FLOW/NAME")."""
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound

    try:
        with get_client(sync_client=True) as client:
            client.read_deployment_by_name(name)
    except (ObjectNotFound, ValueError) as error:
        raise UserError(f"The Prefect server has no deployment {name!r}: `hfi deploy` prints their names.") from error


def start_once(deployment: str, key: str, tag: str) -> None:
    """Start a run of a deployment, marked with a tag; a second call with the same key starts none."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        client.create_flow_run_from_deployment(
            client.read_deployment_by_name(deployment).id, idempotency_key=key, tags=[tag]
        )


def start_on_feedback(client: Any, deployment: str, params: Params, judgements: int) -> str | None:
    """Start a run if the store has that many judgements which no snapshot holds, and none is under way; its name.

    A snapshot is the mark: whatever becomes of the run, it is started once for each.
    """
    if not params.feedback.store:
        return None
    from hfi_core.feedback.store import is_there, open_store

    if not is_there(params.feedback.database_url):
        return None
    with open_store(params.feedback.database_url) as store:
        new, saved = store.unsaved(), store.snapshots()
    if new < judgements or _is_under_way(client, deployment):
        return None
    last = max(saved, key=lambda one: one.number) if saved else None
    run = client.create_flow_run_from_deployment(
        client.read_deployment_by_name(deployment).id,
        idempotency_key=f"feedback-after-{last.number}-{last.sha256[:12]}" if last else "feedback-first",
        tags=["feedback"],
    )
    return run.name


def _is_under_way(client: Any, deployment: str) -> bool:
    now = datetime.now(UTC)
    due = [run for run in runs_of(client, deployment, "SCHEDULED") if run.next_scheduled_start_time <= now]
    return bool(due or runs_of(client, deployment, "PENDING", "RUNNING", "PAUSED", "CANCELLING"))


PAUSE_KEY = "people"
"""Begins the key of a suspension of ours; the number of the attempt follows, for each attempt may wait anew."""
