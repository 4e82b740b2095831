"""The webhook of failures, which is parsed and not called, and the annotation page that runs lead people to."""

import os
from collections.abc import Iterator

from flows.doctor.check import SECONDS, Finding, with_timeout
from flows.doctor.prefect import pages
from flows.orchestration.deployment import PREFECT_YAML
from flows.orchestration.notifications import WEBHOOK
from hfi_core.params import Params

_MARK = '<meta name="application-name" content="HFI annotation">'
_MEND = f"Start it (`hfi annotate`), or mend `page` in {PREFECT_YAML}."


def check(params: Params) -> Iterator[Finding]:
    """A finding each on the webhook and on every page that `prefect.yaml` names."""
    if address := os.environ.get(WEBHOOK):
        yield _webhook(address)
    for page in pages():
        yield from with_timeout("annotation page", _MEND, lambda page=page: _ask(page))


def _webhook(address: str) -> Finding:
    """Its path is the secret; its host is not."""
    import httpx

    mend = f"Set {WEBHOOK} to the address that the chat program gave, https://HOST/..."
    try:
        parsed = httpx.URL(address)
    except httpx.InvalidURL:
        return Finding("webhook", False, f"{WEBHOOK} is no address", mend)
    well = parsed.scheme in ("http", "https") and bool(parsed.host)
    return Finding("webhook", well, f"at {parsed.host}, not called" if well else f"{WEBHOOK} is no web address", mend)


def _ask(page: str) -> Iterator[Finding]:
    import httpx

    answer = httpx.get(page, timeout=SECONDS, follow_redirects=True, headers={"Accept": "text/html"})
    if answer.is_success and _MARK in answer.text:
        yield Finding("annotation page", True, f"{page} answers")
        return
    told = f"{page} answers {answer.status_code}" + ("" if answer.is_error else ", and is another page")
    yield Finding("annotation page", False, told, _MEND)
