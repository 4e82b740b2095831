"""Answer refused requests in the person's language: with a page if the browser asks for one, otherwise with JSON."""

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hfi_core.annotation.routes.rendering import render_page, translations_for_user
from hfi_core.annotation.security.identity import User, find_user, safe_redirect_path
from hfi_core.annotation.service.answers import RejectedAnswer
from hfi_core.errors import UserError

_CODES = {401: "signed_out", 403: "lead_only", 404: "lost", 410: "gone", 422: "malformed", 429: "too_often"}


def refuse(request: Request, status: int, code: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal. People read the translation of `refused.CODE`; scripts read `code`."""
    user = _find_user(request)
    t = translations_for_user(request, user)
    title = f"refused.{code}.title"
    if "text/html" in request.headers.get("accept", ""):
        response = render_page(
            request, "refused.html", status, title=t(title if title in t.texts else "refused.title"),
            message=t(f"refused.{code}"), user=user, back=_sending_page(request), signed_out=status == 401,
        )  # fmt: skip
    else:
        response = JSONResponse({"code": code, "detail": t(f"refused.{code}")}, status)
    response.headers.update(headers or {})
    return response


def handle_user_error(request: Request, error: UserError) -> Response:
    """Answer with 409 what can never succeed, and with 503 what the browser should send again."""
    from hfi_core.feedback.store import Conflict

    if isinstance(error, RejectedAnswer):
        return refuse(request, 409, error.code)
    if isinstance(error, Conflict):
        return refuse(request, 409, "conflict")
    logging.getLogger(__name__).error("%s", error)  # people only read that the server is unavailable
    return refuse(request, 503, "unavailable")


def handle_validation_error(request: Request, error: RequestValidationError) -> Response:
    """Refuse a request that our own pages never send. The response does not repeat its content."""
    return refuse(request, 422, "malformed")


def handle_http_error(request: Request, error: HTTPException) -> Response:
    """Return a redirect, or a refusal whose code is the error's `code` or follows from its status."""
    if error.status_code < 400:
        return Response(status_code=error.status_code, headers=error.headers)
    code = getattr(error, "code", None) or _CODES.get(error.status_code, "other")
    return refuse(request, error.status_code, code, error.headers)


def _find_user(request: Request) -> User | None:
    """Return the signed-in person; None if finding them fails, which may be the error itself."""
    try:
        return find_user(request)
    except UserError:
        return None


def _sending_page(request: Request) -> str:
    """Return the path of our page that sent a form, so that people can load it again; "/" otherwise."""
    sender = urlsplit(request.headers.get("referer", ""))
    if request.method != "POST" or sender.netloc != request.url.netloc:
        return "/"
    return safe_redirect_path(sender.path + (f"?{sender.query}" if sender.query else ""))
