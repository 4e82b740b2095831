"""What stands before every page: which host may be named, how much is read, whose request it is, and from where."""

import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfi_core.annotation.security.sessions import (
    CSRF_FIELD,
    CSRF_HEADER,
    LIFE_SECONDS,
    LOCAL_LIFE_SECONDS,
    SessionCookies,
    private_key,
)
from hfi_core.annotation.settings import Access

MOST_BODY_BYTES = 1 << 20
"""A judgement is a few hundred bytes, a ranking of a hundred pictures some 15 KiB."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_CSP = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`, under which browsers send forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_HSTS = "max-age=31536000"


Refuse = Callable[[Request, int, str], Response]
"""Answers a request with a status and the code of a refusal."""


def protect(app: FastAPI, access: Access, refuse: Refuse) -> None:
    """Put every check before the application; `refuse` makes the answer to a request that fails one."""
    life = LIFE_SECONDS if access.accounts else LOCAL_LIFE_SECONDS
    cookies = SessionCookies(private_key(access.private), secure=access.secure, life=life)
    app.state.access, app.state.cookies = access, cookies
    # The last one added meets a request first.
    app.add_middleware(_Sessions, cookies=cookies, access=access, refuse=refuse)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MOST_BODY_BYTES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=sorted(access.hosts), www_redirect=False)
    app.add_middleware(_SecurityHeaders, secure=access.secure)


class _SecurityHeaders:
    """Pure ASGI: says the same about every answer, refusals too."""

    def __init__(self, app: ASGIApp, secure: bool):
        self._app = app
        self._headers = _HEADERS | ({"Strict-Transport-Security": _HSTS} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, answer)


class _Sessions:
    """Reads the session, refuses what another site's page sent, and sets the cookie where it changed."""

    def __init__(self, app: ASGIApp, cookies: SessionCookies, access: Access, refuse: Refuse):
        self._app, self._cookies, self._access, self._refuse = app, cookies, access, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks over a websocket
            return
        headers = Headers(scope=scope)
        session = self._cookies.read(cookie_parser(headers.get("cookie", "")).get(self._cookies.name))
        scope.setdefault("state", {})["session"] = session

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and session.changed:
                MutableHeaders(scope=message).append("Set-Cookie", self._cookies.header(session))
            await send(message)

        refusal = self._refusal(headers)
        if refusal is None and scope["method"] not in _SAFE_METHODS:
            refusal, receive = await self._forged(scope, headers, receive, self._cookies.csrf(session))
        if refusal is not None:
            refused = await run_in_threadpool(self._refuse, Request(scope, receive), 403, refusal)
            await refused(scope, receive, answer)
            return
        await self._app(scope, receive, answer)

    def _refusal(self, headers: Headers) -> str | None:
        """A server without accounts that somebody has put on the network behind a proxy lets nobody in."""
        return "proxied" if not self._access.accounts and any(name in headers for name in _FORWARDED) else None

    async def _forged(
        self, scope: Scope, headers: Headers, receive: Receive, expected: str
    ) -> tuple[str | None, Receive]:
        """A refusal's code unless the request comes from a page of ours; and how to read the body from here on."""
        own = f"{'https' if self._access.secure else 'http'}://{headers.get('host', '')}".lower()
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        elsewhere = origin.lower() != own if origin is not None else site not in (None, "same-origin", "none")
        if elsewhere:
            return "origin", receive
        token = headers.get(CSRF_HEADER)
        if token is None and headers.get("content-type", "").split(";")[0] == "application/x-www-form-urlencoded":
            body, receive = await _whole_body(receive)
            token = parse_qs(body.decode("utf-8", "replace")).get(CSRF_FIELD, [None])[0]
        if token is None or not hmac.compare_digest(token.encode(), expected.encode()):
            return "csrf", receive
        return None, receive


async def _whole_body(receive: Receive) -> tuple[bytes, Receive]:
    """Read the body (the limit stands before us) and a `receive` that gives it again."""
    parts: list[bytes] = []
    while True:
        message: dict[str, Any] = dict(await receive())
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    body, given = b"".join(parts), False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again
