"""Check the webhook for failures, without calling it, and the annotation page that runs link to."""

import os
from collections.abc import Iterator
from functools import partial

from flows.doctor.check import RESPONSE_SECONDS, Finding, with_timeout
from flows.doctor.prefect import annotation_pages
from flows.orchestration.notifications import WEBHOOK
from flows.project.prefect_yaml import PREFECT_YAML
from hfi_core.params import Params

_MARK = '<meta name="application-name" content="HFI annotation">'
_REMEDY = f"Start it (`hfi annotate`), or correct `page` in {PREFECT_YAML}."


def check(params: Params) -> Iterator[Finding]:
    """Yield a finding on the webhook and on every page that `prefect.yaml` names."""
    if address := os.environ.get(WEBHOOK):
        yield _check_webhook(address)
    for page in annotation_pages():
        yield from with_timeout("annotation page", _REMEDY, partial(_check_page, page))


def _check_webhook(address: str) -> Finding:
    """Return whether an address has the form of a web address. Its path is secret; its host is not."""
    import httpx

    remedy = f"Set {WEBHOOK} to the address that the chat program gave, https://HOST/..."
    try:
        parsed = httpx.URL(address)
    except httpx.InvalidURL:
        return Finding("webhook", False, f"{WEBHOOK} is not a valid address", remedy)
    ok = parsed.scheme in ("http", "https") and bool(parsed.host)
    message = f"at {parsed.host}, not called" if ok else f"{WEBHOOK} is not an http or https address"
    return Finding("webhook", ok, message, remedy)


def _check_page(page: str) -> Iterator[Finding]:
    import httpx

    response = httpx.get(page, timeout=RESPONSE_SECONDS, follow_redirects=True, headers={"Accept": "text/html"})
    if response.is_success and _MARK in response.text:
        yield Finding("annotation page", True, f"{page} answers")
        return
    message = f"{page} answers {response.status_code}" + ("" if response.is_error else ", and is another page")
    yield Finding("annotation page", False, message, _REMEDY)
