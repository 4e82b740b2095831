"""Check every request before the application sees it: host name, size, session, and origin."""

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
    LOCAL_SESSION_SECONDS,
    SESSION_SECONDS,
    SessionCookies,
    read_signing_key,
)
from hfi_core.annotation.settings import Access

MAX_BODY_BYTES = 1 << 20
"""A judgement is a few hundred bytes, a ranking of a hundred pictures some 15 KiB."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
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
"""Makes the response to a refused request, from its status and the code of the refusal."""


def protect(app: FastAPI, access: Access, refuse: Refuse) -> None:
    """Add every check to the application; `refuse` makes the response to a request that fails one."""
    max_age_seconds = SESSION_SECONDS if access.accounts else LOCAL_SESSION_SECONDS
    cookies = SessionCookies(read_signing_key(access.private), secure=access.secure, max_age_seconds=max_age_seconds)
    app.state.access, app.state.cookies = access, cookies
    # The middleware that is added last sees a request first.
    app.add_middleware(_Sessions, cookies=cookies, access=access, refuse=refuse)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=sorted(access.hosts), www_redirect=False)
    app.add_middleware(_SecurityHeaders, secure=access.secure)


class _SecurityHeaders:
    """Pure ASGI middleware that sets the security headers of every response, refusals included."""

    def __init__(self, app: ASGIApp, secure: bool):
        self._app = app
        self._headers = _HEADERS | ({"Strict-Transport-Security": _HSTS} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Sessions:
    """Reads the session, refuses requests from pages of other sites, and sets the cookie if the session changed."""

    def __init__(self, app: ASGIApp, cookies: SessionCookies, access: Access, refuse: Refuse):
        self._app, self._cookies, self._access, self._refuse = app, cookies, access, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})  # the server answers 403: there are no websockets
            return
        headers = Headers(scope=scope)
        session = self._cookies.read(cookie_parser(headers.get("cookie", "")).get(self._cookies.name))
        scope.setdefault("state", {})["session"] = session

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and session.changed:
                MutableHeaders(scope=message).append("Set-Cookie", self._cookies.set_cookie_header(session))
            await send(message)

        if headers.get("upgrade", "").lower() == "websocket":
            response = await run_in_threadpool(self._refuse, Request(scope, receive), 400, "no_websockets")
            await response(scope, receive, send)
            return
        code = self._check_proxy(headers)
        if code is None and scope["method"] not in _SAFE_METHODS:
            code, receive = await self._check_origin_and_token(
                scope, headers, receive, self._cookies.csrf_token(session)
            )
        if code is not None:
            response = await run_in_threadpool(self._refuse, Request(scope, receive), 403, code)
            await response(scope, receive, send_with_cookie)
            return
        await self._app(scope, receive, send_with_cookie)

    def _check_proxy(self, headers: Headers) -> str | None:
        """Return a refusal's code if the request came through a proxy and the server has no accounts.

        Such a server is meant for one machine, and somebody has put it on the network.
        """
        return "proxied" if not self._access.accounts and any(name in headers for name in _PROXY_HEADERS) else None

    async def _check_origin_and_token(
        self, scope: Scope, headers: Headers, receive: Receive, expected: str
    ) -> tuple[str | None, Receive]:
        """Return a refusal's code unless one of our own pages sent the request, and a `receive` for the whole body."""
        own_origin = f"{'https' if self._access.secure else 'http'}://{headers.get('host', '')}".lower()
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        is_foreign = origin.lower() != own_origin if origin is not None else site not in (None, "same-origin", "none")
        if is_foreign:
            return "origin", receive
        token = headers.get(CSRF_HEADER)
        if token is None and headers.get("content-type", "").split(";")[0] == "application/x-www-form-urlencoded":
            body, receive = await _read_body(receive)
            token = parse_qs(body.decode("utf-8", "replace")).get(CSRF_FIELD, [None])[0]
        if token is None or not hmac.compare_digest(token.encode(), expected.encode()):
            return "csrf", receive
        return None, receive


async def _read_body(receive: Receive) -> tuple[bytes, Receive]:
    """Return the body, and a `receive` that delivers it again. The size limit has been checked already."""
    parts: list[bytes] = []
    while True:
        message: dict[str, Any] = dict(await receive())
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    body, delivered = b"".join(parts), False

    async def replay() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, replay
