"""What Prefect's server knows of the runs of a deployment."""

from typing import Any


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
    from flows.orchestration.feedback_gate import PAUSE

    found = runs_of(client, deployment, "PAUSED")
    return [run for run in found if (run.state.state_details.pause_key or "").startswith(PAUSE)]
