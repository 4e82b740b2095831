"""Tells a webhook that a flow run failed or crashed. Its address is a secret: it stands in the environment."""

import os
from typing import Any

from flows.orchestration.runs import last_ended
from hfi_core.secrets import redacted

WEBHOOK = "HFI_FAILURE_WEBHOOK"
_SECONDS = 10.0


def notify_of_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's hook: post JSON whose `text` chat programs show. That nobody listens fails nothing further.

    A deployment that fails each minute for one reason is told of once, until a run of it ends otherwise.
    """
    address = os.environ.get(WEBHOOK)
    if not address or _told_before(flow_run, state):
        return
    import httpx
    from prefect.utilities.urls import url_for

    message = redacted(state.message or "")
    page = url_for(flow_run) or ""
    content = {
        "text": f"{flow_run.name}: {state.name}. {message} {page}".strip(),
        "flow": flow.name,
        "run": flow_run.name,
        "run_id": str(flow_run.id),
        "state": state.name,
        "message": message,
        "page": page,
    }
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=2), timeout=_SECONDS) as client:
            client.post(address, json=content).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        from flows.runtime.console import warn

        warn(f"The webhook in {WEBHOOK} was not told of the failure: {type(error).__name__}.")


def _told_before(flow_run: Any, state: Any) -> bool:
    """Whether the deployment's run before this one ended in the same way, with the same message."""
    if not flow_run.deployment_id:
        return False
    import httpx
    from prefect import get_client
    from prefect.exceptions import PrefectException

    try:
        with get_client(sync_client=True) as client:
            before = last_ended(client, flow_run.deployment_id, but=flow_run.id)
    except (httpx.HTTPError, PrefectException):
        return False  # rather twice than not at all
    return before is not None and (before.state.type, before.state.message) == (state.type, state.message)


FLOW_SETTINGS = {
    "persist_result": False,
    "retries": 0,
    "on_failure": [notify_of_failure],
    "on_crashed": [notify_of_failure],
}
"""Keywords of `prefect.flow`."""
