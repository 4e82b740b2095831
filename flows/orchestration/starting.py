"""Starts runs of a deployment: on enough new feedback since the last snapshot, or when something calls for it."""

from datetime import UTC, datetime
from typing import Any

from flows.orchestration.runs import runs_of
from hfi_core.errors import UserError
from hfi_core.params import Params


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
