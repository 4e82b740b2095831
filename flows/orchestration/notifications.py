"""Tell a webhook that a flow run failed or crashed. Its address is a secret, so it is read from the environment."""

import os
from typing import Any

from flows.orchestration.runs import last_ended
from hfi_core.errors import remove_pydantic_terms
from hfi_core.secrets import hide_secrets

WEBHOOK = "HFI_FAILURE_WEBHOOK"
_SECONDS = 10.0


def notify_of_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Post JSON whose `text` chat programs show, as a hook of Prefect. A webhook out of reach causes only a warning.

    If a deployment fails each minute for the same reason, one message is sent, until a run of it ends in another way.
    """
    address = os.environ.get(WEBHOOK)
    if not address or _is_repeated(flow_run, state):
        return
    import httpx
    from prefect.utilities.urls import url_for

    message = hide_secrets(remove_pydantic_terms(state.message or ""))
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

        warn(f"The webhook in {WEBHOOK} did not receive the failure: {type(error).__name__}.")


def _is_repeated(flow_run: Any, state: Any) -> bool:
    """Return whether the deployment's run before this one ended in the same state, with the same message."""
    if not flow_run.deployment_id:
        return False
    import httpx
    from prefect import get_client
    from prefect.exceptions import PrefectException

    try:
        with get_client(sync_client=True) as client:
            before = last_ended(client, flow_run.deployment_id, other_than=flow_run.id)
    except (httpx.HTTPError, PrefectException):
        return False  # two messages are better than none
    return before is not None and (before.state.type, before.state.message) == (state.type, state.message)


FLOW_SETTINGS = {
    "persist_result": False,
    "retries": 0,
    "on_failure": [notify_of_failure],
    "on_crashed": [notify_of_failure],
}
"""Keywords of `prefect.flow`."""
