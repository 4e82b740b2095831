"""FastAPI dependencies: the signed-in person, their consent, the rate limit, and the workspace of a request."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request

from hfi_core.annotation.security.identity import User, find_user
from hfi_core.annotation.security.rate_limit import RETRY_HEADERS, exceeds_request_limit
from hfi_core.annotation.service.preferences import has_consented
from hfi_core.annotation.service.workspace import Workspace, refresh_workspace


def require_user(request: Request) -> User:
    """FastAPI dependency: the signed-in person. Otherwise pages redirect to the sign-in page, and scripts get 401."""
    user = find_user(request)
    if user is not None:
        return user
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise HTTPException(303, "Sign in first.", headers={"Location": f"/sign-in?next={quote(path, safe='')}"})
    raise HTTPException(401, "Sign in first.")


def require_lead(request: Request) -> User:
    """FastAPI dependency: the signed-in lead. Annotators get 403."""
    user = require_user(request)
    if user.role != "lead":
        raise HTTPException(403, "This page is for the lead.")
    return user


def get_workspace(request: Request) -> Workspace:
    """Return the workspace, with the candidates that the manifests contain now."""
    workspace = refresh_workspace(request.app.state.workspace)
    request.app.state.workspace = workspace
    return workspace


class ConsentRequired(HTTPException):
    """Refusal of a person who has not agreed to the consent page."""

    code = "consent"

    def __init__(self):
        super().__init__(403, "Read the first page and agree to it.")


def require_consent(request: Request, user: Annotated[User, Depends(require_user)]) -> User:
    """FastAPI dependency: a person who has consented. Otherwise pages redirect to the consent page; scripts get 403."""
    if has_consented(get_workspace(request).state, user.pseudonym):
        return user
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        raise HTTPException(303, "Read the first page.", headers={"Location": "/welcome"})
    raise ConsentRequired


def limit_rate(request: Request, _: Annotated[User, Depends(require_consent)]) -> None:
    """FastAPI dependency: refuse a session with an account that sends more requests than a person can."""
    if request.app.state.access.accounts and exceeds_request_limit(request):
        raise HTTPException(429, "Too many requests.", headers=RETRY_HEADERS)
