"""The door: a name at one's own machine, name and password beyond it, and the page that an invitation opens."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, HTTPException, Request
from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.responses import RedirectResponse, Response

from hfi_core.annotation.accounts import LEAST_PASSWORD, MOST_PASSWORD, Account, accounts_of, proper_name
from hfi_core.annotation.identity import signed_in
from hfi_core.annotation.rendering import render
from hfi_core.errors import UserError

router = APIRouter()

_BY_PERSON = (RateLimitItemPerMinute(5), RateLimitItemPerHour(30))
"""Attempts at one name from one address."""
_BY_ADDRESS = (RateLimitItemPerMinute(20), RateLimitItemPerHour(200))
"""Attempts from one address: a whole office may share it."""

Text = Annotated[str, Form(max_length=2000)]


@router.get("/sign-in")
def door(request: Request, next: str = "/") -> Response:
    """Ask who it is; who has come in already goes on."""
    if signed_in(request) is not None:
        return RedirectResponse(inside(next), 303)
    return _door(request, next)


@router.post("/sign-in")
def enter(request: Request, name: Text, password: Text = "", next: Text = "/") -> Response:
    """Let a person in under a new session."""
    session = request.state.session
    try:
        name = proper_name(name)
    except UserError as error:
        return _door(request, next, str(error), 422)
    if not request.app.state.access.accounts:
        session.rotate(name)
        return RedirectResponse(inside(next), 303)
    _count(request, name)
    account = accounts_of(request).check(name, password)
    if account is None:
        return _door(request, next, "Name and password do not fit. Ask your lead for a new link.", 401, name)
    _admit(request, account)
    return RedirectResponse(inside(next), 303)


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
    return _invite(request, token)


@router.post("/invite/{token}")
def accept(request: Request, token: str, password: Text, again: Text) -> Response:
    """Make the account and let the person in."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        return _invite(request, token, f"A password has {LEAST_PASSWORD} to {MOST_PASSWORD} letters.")
    if password != again:
        return _invite(request, token, "The two passwords differ.")
    _of_invitation(request, token)  # before the costly hash
    account = accounts_of(request).accept(token, password)
    if account is None:
        raise HTTPException(404, _OVER)
    _admit(request, account)
    return RedirectResponse("/", 303)


_OVER = "This link was used already, or is over. Ask your lead for a new one."


def inside(path: str) -> str:
    """`path` if it leads to a page of ours, else the first page: nobody is sent elsewhere from here."""
    parts = urlsplit(path)
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and path.isprintable()
    return path if ours else "/"


def _admit(request: Request, account: Account) -> None:
    session = request.state.session
    accounts = accounts_of(request)
    accounts.sign_out(session.id)
    session.rotate()
    accounts.sign_in(account, session.id)


def _count(request: Request, name: str) -> None:
    """Raise 429 once a person, or an address, has tried too often."""
    state = request.app.state
    if getattr(state, "limiter", None) is None:
        state.limiter = MovingWindowRateLimiter(MemoryStorage())
    address = request.client.host if request.client else "unknown"
    keys = [(item, ("person", address, name.casefold())) for item in _BY_PERSON]
    keys += [(item, ("address", address)) for item in _BY_ADDRESS]
    allowed = [state.limiter.hit(item, *key) for item, key in keys]  # each is counted, also after a refusal
    if not all(allowed):
        raise HTTPException(429, "Too many attempts; wait a minute.", headers={"Retry-After": "60"})


def _of_invitation(request: Request, token: str):
    if not request.app.state.access.accounts:
        raise HTTPException(404, "This page needs no account here.")
    invitation = accounts_of(request).invitation(token)
    if invitation is None:
        raise HTTPException(404, _OVER)
    return invitation


def _door(request: Request, next: str, message: str = "", status: int = 200, name: str = "") -> Response:
    known = {"next": inside(next), "message": message, "name": name, "accounts": request.app.state.access.accounts}
    return render(request, "sign_in.html", status, **known)


def _invite(request: Request, token: str, message: str = "") -> Response:
    invitation = _of_invitation(request, token)
    known = {"invitation": invitation, "message": message, "least": LEAST_PASSWORD, "most": MOST_PASSWORD}
    return render(request, "invite.html", 422 if message else 200, **known)
