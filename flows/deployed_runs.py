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


def going_among(client: Any, runs: list[str]) -> list[Any]:
    """Those of these runs, by id, that have not ended and wait for nothing."""
    from prefect.client.schemas.filters import FlowRunFilter

    wanted = {"id": {"any_": runs}, "state": {"type": {"any_": ["RUNNING", "PENDING"]}}}
    return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))


def waiting_runs(client: Any, deployment: str) -> list[Any]:
    """Those of its runs that wait for people: suspended by our own wait, not by a person in the UI."""
    from flows.waiting import PAUSE

    found = runs_of(client, deployment, "PAUSED")
    return [run for run in found if (run.state.state_details.pause_key or "").startswith(PAUSE)]
