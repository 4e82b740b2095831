"""What is said where a request is refused: a page to whoever asked for one, else JSON, in the person's language."""

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from hfi_core.annotation.routes.rendering import render, words_for_person
from hfi_core.annotation.security.identity import User, local_path, signed_in
from hfi_core.annotation.service.answers import RejectedAnswer
from hfi_core.errors import UserError

_BY_STATUS = {401: "signed_out", 403: "lead_only", 404: "lost", 410: "gone", 422: "malformed", 429: "too_often"}


def refuse(request: Request, status: int, code: str, headers: Mapping[str, str] | None = None) -> Response:
    """Refuse a request; `refused.CODE` of the catalogue says why, and a script reads `code`."""
    user = _person(request)
    words = words_for_person(request, user)
    title = f"refused.{code}.title"
    if "text/html" in request.headers.get("accept", ""):
        response = render(
            request, "refused.html", status, title=words(title if title in words.all else "refused.title"),
            message=words(f"refused.{code}"), user=user, back=_page_of(request), signed_out=status == 401,
        )  # fmt: skip
    else:
        response = JSONResponse({"code": code, "detail": words(f"refused.{code}")}, status)
    response.headers.update(headers or {})
    return response


def of_user_error(request: Request, error: UserError) -> Response:
    """Say whether sending again can help: the browser shows why an answer is refused, and retries the rest."""
    from hfi_core.feedback.store import Conflict

    if isinstance(error, RejectedAnswer):
        return refuse(request, 409, error.code)
    if isinstance(error, Conflict):
        return refuse(request, 409, "conflict")
    logging.getLogger(__name__).error("%s", error)  # for whoever runs the server; people are told to come again
    return refuse(request, 503, "unavailable")


def of_malformed(request: Request, error: RequestValidationError) -> Response:
    """A request that no page of ours sends; what it held is not repeated."""
    return refuse(request, 422, "malformed")


def of_http_error(request: Request, error: HTTPException) -> Response:
    """The way elsewhere, or a refusal whose code is the error's `code`, or follows from its status."""
    if error.status_code < 400:
        return Response(status_code=error.status_code, headers=error.headers)
    code = getattr(error, "code", None) or _BY_STATUS.get(error.status_code, "other")
    return refuse(request, error.status_code, code, error.headers)


def _person(request: Request) -> User | None:
    """Who is told; nobody where that cannot be found out, which may be the very thing that went wrong."""
    try:
        return signed_in(request)
    except UserError:
        return None


def _page_of(request: Request) -> str:
    """The page of ours that sent a form, to be loaded again; else the first one."""
    sender = urlsplit(request.headers.get("referer", ""))
    if request.method != "POST" or sender.netloc != request.url.netloc:
        return "/"
    return local_path(sender.path + (f"?{sender.query}" if sender.query else ""))
