"""Sign in and out: with a name in local use, otherwise with an account, which an invitation creates."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hfi_core.annotation.routes.rendering import render_page, translations_for_request
from hfi_core.annotation.security.accounts import (
    MAX_NAME_LENGTH,
    MAX_PASSWORD_LENGTH,
    MIN_PASSWORD_LENGTH,
    Account,
    Invitation,
    get_accounts,
    normalize_name,
)
from hfi_core.annotation.security.identity import find_user, get_or_create_pseudonym, safe_redirect_path
from hfi_core.annotation.security.rate_limit import RETRY_HEADERS, exceeds_invitation_limit, exceeds_sign_in_limit
from hfi_core.errors import UserError

router = APIRouter()

Text = Annotated[str, Form(max_length=2000)]


@router.get("/sign-in")
def show_sign_in(request: Request, next: str = "/") -> Response:
    """Show the sign-in form; redirect people who have signed in already."""
    if find_user(request) is not None:
        return RedirectResponse(safe_redirect_path(next), 303)
    return _render_sign_in(request, next)


@router.post("/sign-in")
def sign_in(request: Request, name: Text, password: Text = "", next: Text = "/") -> Response:
    """Sign a person in under a new session id."""
    try:
        name = normalize_name(name)
    except UserError:
        message = translations_for_request(request)("sign_in.no_name", most=MAX_NAME_LENGTH)
        return _render_sign_in(request, next, message, 422, wrong_fields=("name",))
    if not request.app.state.access.accounts:
        get_or_create_pseudonym(request.app.state.access.private, name)
        request.state.session.rotate(name)
        return RedirectResponse(safe_redirect_path(next), 303)
    if exceeds_sign_in_limit(request, name):
        return _refuse(request, "sign_in.too_often", 429, RETRY_HEADERS)
    account = get_accounts(request).authenticate(name, password)
    if account is None:
        message = translations_for_request(request)("sign_in.wrong")
        return _render_sign_in(request, next, message, 401, name, ("name", "password"))
    _start_session(request, account)
    return RedirectResponse(safe_redirect_path(next), 303)


@router.post("/sign-out")
def sign_out(request: Request, keep_storage: Text = "") -> Response:
    """End the session, and tell the browser to delete what it has stored of the page.

    `keep_storage` is set while answers of somebody wait in the browser's storage. The page's script deletes the rest.
    """
    session = request.state.session
    if request.app.state.access.accounts:
        get_accounts(request).end_session(session.id)
    session.rotate()
    stored = '"cache"' if keep_storage else '"cache", "storage"'
    return RedirectResponse("/sign-in", 303, headers={"Clear-Site-Data": stored})


@router.get("/invite/{token}")
def show_invitation(request: Request, token: str) -> Response:
    """Show an invitation and ask for a password. This does not use up the link, because mail scanners open links."""
    if exceeds_invitation_limit(request):
        return _refuse(request, "sign_in.too_often", 429, RETRY_HEADERS)
    return _render_invitation(request, token)


@router.post("/invite/{token}")
def accept_invitation(request: Request, token: str, password: Text, again: Text) -> Response:
    """Create the account of an invitation and sign the person in."""
    if exceeds_invitation_limit(request):
        return _refuse(request, "sign_in.too_often", 429, RETRY_HEADERS)
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        message = translations_for_request(request)("invite.short", least=MIN_PASSWORD_LENGTH, most=MAX_PASSWORD_LENGTH)
        return _render_invitation(request, token, message, "password")
    if password != again:
        return _render_invitation(request, token, translations_for_request(request)("invite.differ"), "again")
    # Find the invitation before the expensive hash: without a valid link nobody can make the server compute one.
    account = get_accounts(request).accept_invitation(token, password) if _find_invitation(request, token) else None
    if account is None:
        return _refuse(request, "invite.over", 404)
    _start_session(request, account)
    return RedirectResponse("/", 303)


def _start_session(request: Request, account: Account) -> None:
    session, accounts = request.state.session, get_accounts(request)
    accounts.end_session(session.id)
    session.rotate()
    get_or_create_pseudonym(request.app.state.access.private, account.name)
    accounts.start_session(account, session.id)


def _find_invitation(request: Request, token: str) -> Invitation | None:
    return get_accounts(request).find_invitation(token) if request.app.state.access.accounts else None


def _refuse(request: Request, key: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    t = translations_for_request(request)
    response = render_page(request, "sign_in_refused.html", status, title=t(f"{key}.title"), message=t(key))
    response.headers.update(headers or {})
    return response


def _render_sign_in(
    request: Request, next: str, message: str = "", status: int = 200, name: str = "",
    wrong_fields: tuple[str, ...] = (),
) -> Response:  # fmt: skip
    return render_page(
        request, "sign_in.html", status, next=safe_redirect_path(next), message=message, name=name,
        wrong_fields=wrong_fields, accounts=request.app.state.access.accounts,
    )  # fmt: skip


def _render_invitation(request: Request, token: str, message: str = "", wrong_field: str = "") -> Response:
    invitation = _find_invitation(request, token)
    if invitation is None:
        return _refuse(request, "invite.over", 404)
    return render_page(
        request, "invite.html", 422 if message else 200, invitation=invitation, message=message,
        wrong_field=wrong_field, min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH,
    )  # fmt: skip
