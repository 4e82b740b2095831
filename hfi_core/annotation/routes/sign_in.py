"""The door: a name at one's own machine, name and password beyond it, and the page that an invitation opens."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hfi_core.annotation.routes.rendering import render, words_of
from hfi_core.annotation.security.accounts import (
    LEAST_PASSWORD,
    MOST_NAME,
    MOST_PASSWORD,
    Account,
    Invitation,
    accounts_of,
    proper_name,
)
from hfi_core.annotation.security.identity import local_path, pseudonym_of, signed_in
from hfi_core.annotation.security.rate_limit import RETRY, is_guessing, is_trying_links
from hfi_core.errors import UserError

router = APIRouter()

Text = Annotated[str, Form(max_length=2000)]


@router.get("/sign-in")
def door(request: Request, next: str = "/") -> Response:
    """Ask who it is; who has come in already goes on."""
    if signed_in(request) is not None:
        return RedirectResponse(local_path(next), 303)
    return _door(request, next)


@router.post("/sign-in")
def enter(request: Request, name: Text, password: Text = "", next: Text = "/") -> Response:
    """Let a person in under a new session."""
    session = request.state.session
    try:
        name = proper_name(name)
    except UserError:
        return _door(request, next, words_of(request)("door.no_name", most=MOST_NAME), 422, wrong=("name",))
    if not request.app.state.access.accounts:
        pseudonym_of(request.app.state.access.private, name)
        session.rotate(name)
        return RedirectResponse(local_path(next), 303)
    if is_guessing(request, name):
        return _closed(request, "door.too_often", 429, RETRY)
    account = accounts_of(request).check(name, password)
    if account is None:
        return _door(request, next, words_of(request)("door.wrong"), 401, name, ("name", "password"))
    _admit(request, account)
    return RedirectResponse(local_path(next), 303)


@router.post("/sign-out")
def leave(request: Request) -> Response:
    """End the session."""
    session = request.state.session
    if request.app.state.access.accounts:
        accounts_of(request).sign_out(session.id)
    session.rotate()
    return RedirectResponse("/sign-in", 303)


@router.get("/invite/{token}")
def invited(request: Request, token: str) -> Response:
    """Show whom the link is for, and ask for a password. Looking does not use the link up: mail scanners look."""
    if is_trying_links(request):
        return _closed(request, "door.too_often", 429, RETRY)
    return _invite(request, token)


@router.post("/invite/{token}")
def accept(request: Request, token: str, password: Text, again: Text) -> Response:
    """Make the account and let the person in."""
    if is_trying_links(request):
        return _closed(request, "door.too_often", 429, RETRY)
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        message = words_of(request)("invite.short", least=LEAST_PASSWORD, most=MOST_PASSWORD)
        return _invite(request, token, message, "password")
    if password != again:
        return _invite(request, token, words_of(request)("invite.differ"), "again")
    # Looked up before the costly hash, which nobody without a link can make us compute.
    account = accounts_of(request).accept(token, password) if _invitation(request, token) else None
    if account is None:
        return _closed(request, "invite.over", 404)
    _admit(request, account)
    return RedirectResponse("/", 303)


def _admit(request: Request, account: Account) -> None:
    session = request.state.session
    accounts = accounts_of(request)
    accounts.sign_out(session.id)
    session.rotate()
    pseudonym_of(request.app.state.access.private, account.name)
    accounts.sign_in(account, session.id)


def _invitation(request: Request, token: str) -> Invitation | None:
    return accounts_of(request).invitation(token) if request.app.state.access.accounts else None


def _closed(request: Request, what: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    words = words_of(request)
    response = render(request, "closed_door.html", status, title=words(f"{what}.title"), message=words(what))
    response.headers.update(headers or {})
    return response


def _door(
    request: Request, next: str, message: str = "", status: int = 200, name: str = "", wrong: tuple[str, ...] = ()
) -> Response:
    """The door, with what is wrong about the fields named in `wrong`."""
    return render(
        request, "sign_in.html", status, next=local_path(next), message=message, name=name, wrong=wrong,
        accounts=request.app.state.access.accounts,
    )  # fmt: skip


def _invite(request: Request, token: str, message: str = "", wrong: str = "") -> Response:
    invitation = _invitation(request, token)
    if invitation is None:
        return _closed(request, "invite.over", 404)
    known = {
        "invitation": invitation,
        "message": message,
        "wrong": wrong,
        "least": LEAST_PASSWORD,
        "most": MOST_PASSWORD,
    }
    return render(request, "invite.html", 422 if message else 200, **known)
