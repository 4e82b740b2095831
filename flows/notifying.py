"""Tells a webhook that a flow run failed or crashed. Its address is a secret: it stands in the environment."""

import os
from typing import Any

from flows.redaction import redacted

WEBHOOK = "HFI_FAILURE_WEBHOOK"
_SECONDS = 10.0


def tell_of_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Prefect's hook: post JSON whose `text` chat programs show. That nobody listens fails nothing further."""
    address = os.environ.get(WEBHOOK)
    if not address:
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
        from flows.console import warn

        warn(f"The webhook in {WEBHOOK} was not told of the failure: {type(error).__name__}.")
