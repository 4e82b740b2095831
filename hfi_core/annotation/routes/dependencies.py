"""FastAPI dependencies: the signed-in person, their consent, the rate limit, and the workspace of a request."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request

from hfi_core.annotation.security.identity import User, signed_in
from hfi_core.annotation.security.rate_limit import RETRY, is_too_frequent
from hfi_core.annotation.service.preferences import consent_digest, has_consented
from hfi_core.annotation.service.workspace import Workspace, refresh


def current_user(request: Request) -> User:
    """FastAPI dependency: the person, or the way to the door: a redirect for a page, 401 for a program."""
    user = signed_in(request)
    if user is not None:
        return user
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise HTTPException(303, "Sign in first.", headers={"Location": f"/sign-in?next={quote(path, safe='')}"})
    raise HTTPException(401, "Sign in first.")


def lead_only(request: Request) -> User:
    """FastAPI dependency: as `current_user`, and refuses annotators."""
    user = current_user(request)
    if user.role != "lead":
        raise HTTPException(403, "This page is for the lead.")
    return user


def workspace_of(request: Request) -> Workspace:
    """The page that a request reached, with the candidates that the manifests hold now."""
    page = refresh(request.app.state.page)
    request.app.state.page = page
    return page


class ConsentNeeded(HTTPException):
    """Somebody who has not agreed to the first page."""

    code = "consent"

    def __init__(self):
        super().__init__(403, "Read the first page and agree to it.")


def consenting_user(request: Request, user: Annotated[User, Depends(current_user)]) -> User:
    """FastAPI dependency: the person, once they have agreed; else the way to the first page."""
    if has_consented(workspace_of(request).state, user.pseudonym, consent_digest()):
        return user
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        raise HTTPException(303, "Read the first page.", headers={"Location": "/welcome"})
    raise ConsentNeeded


def rate_limited(request: Request, _: Annotated[User, Depends(consenting_user)]) -> None:
    """FastAPI dependency: refuses a session that asks or answers faster than any person, where people have accounts."""
    if request.app.state.access.accounts and is_too_frequent(request):
        raise HTTPException(429, "Too many requests.", headers=RETRY)
