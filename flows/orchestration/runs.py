"""Runs of a deployment: find those that are active or waiting, and start one."""

from datetime import UTC, datetime
from typing import Any

from hfi_core.errors import UserError
from hfi_core.params import Params

PAUSE_KEY = "people"
"""Begins the key of a suspension that waits for people. The number of the attempt follows: each attempt may wait."""


def runs_of(client: Any, deployment: str, *types: str) -> list[Any]:
    """Return the runs of a deployment ("safeguard/NAME") in states of these types."""
    identifier = client.read_deployment_by_name(deployment).id
    return _read_runs(client, deployment_id={"any_": [identifier]}, state={"type": {"any_": list(types)}})


def last_ended(client: Any, deployment_id: Any, other_than: Any) -> Any | None:
    """Return the run of a deployment that ended last, without the run `other_than`; None if there is no other."""
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = {
        "id": {"not_any_": [other_than]},
        "deployment_id": {"any_": [deployment_id]},
        "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}},
    }
    return next(iter(_read_runs(client, sort=FlowRunSort.END_TIME_DESC, limit=1, **wanted)), None)


def find_unfinished(client: Any, runs: list[str]) -> list[Any]:
    """Return those of these runs, given by id, that are active, or crashed before they finished."""
    return _read_runs(client, id={"any_": runs}, state={"type": {"any_": ["RUNNING", "PENDING", "CRASHED"]}})


def waiting_runs(client: Any, deployment: str) -> list[Any]:
    """Return the runs of a deployment that wait for people: a person who suspends a run in the UI sets another key."""
    paused = runs_of(client, deployment, "PAUSED")
    return [run for run in paused if (run.state.state_details.pause_key or "").startswith(PAUSE_KEY)]


def _read_runs(client: Any, sort: Any = None, limit: int | None = None, **wanted: Any) -> list[Any]:
    from prefect.client.schemas.filters import FlowRunFilter

    return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted), sort=sort, limit=limit)


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
    """Start a run of a deployment, marked with a tag. A second call with the same key starts no run."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        client.create_flow_run_from_deployment(
            client.read_deployment_by_name(deployment).id, idempotency_key=key, tags=[tag]
        )


def start_on_feedback(client: Any, deployment: str, params: Params, judgements: int) -> str | None:
    """Start a run if the store has `judgements` that no snapshot holds, and no run is active; return its name.

    After each snapshot one run is started, however it ends.
    """
    if not params.feedback.store:
        return None
    from hfi_core.feedback.store import open_store, store_exists

    if not store_exists(params.feedback.database_url):
        return None
    with open_store(params.feedback.database_url) as store:
        new, saved = store.count_unsaved(), store.list_snapshots()
    if new < judgements or _is_active(client, deployment):
        return None
    last = max(saved, key=lambda snapshot: snapshot.number) if saved else None
    run = client.create_flow_run_from_deployment(
        client.read_deployment_by_name(deployment).id,
        idempotency_key=f"feedback-after-{last.number}-{last.sha256[:12]}" if last else "feedback-first",
        tags=["feedback"],
    )
    return run.name


def _is_active(client: Any, deployment: str) -> bool:
    now = datetime.now(UTC)
    due = [run for run in runs_of(client, deployment, "SCHEDULED") if run.next_scheduled_start_time <= now]
    return bool(due or runs_of(client, deployment, "PENDING", "RUNNING", "PAUSED", "CANCELLING"))
