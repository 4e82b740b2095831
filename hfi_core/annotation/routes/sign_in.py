"""Sign in and out: with a name in local use, otherwise with an account, which an invitation creates."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from hfi_core.annotation.routes.dependencies import require_user
from hfi_core.annotation.routes.rendering import render_page, translations_for_request
from hfi_core.annotation.security.accounts import (
    MAX_NAME_LENGTH,
    Account,
    Invitation,
    get_accounts,
    normalize_name,
)
from hfi_core.annotation.security.identity import User, find_user, get_or_create_pseudonym, safe_redirect_path
from hfi_core.annotation.security.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH, find_password_problem
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
    # Find the invitation before the expensive hash: without a valid link nobody can make the server compute one.
    invitation = _find_invitation(request, token)
    if invitation is not None:
        message, wrong_field = _check_new_password(request, password, again, invitation.name)
        if message:
            return _render_invitation(request, token, message, wrong_field)
    account = None if invitation is None else get_accounts(request).accept_invitation(token, password)
    if account is None:
        return _refuse(request, "invite.over", 404)
    _start_session(request, account)
    return RedirectResponse("/", 303)


@router.get("/password")
def show_password_form(request: Request, user: Annotated[User, Depends(require_user)], changed: str = "") -> Response:
    """Show the form in which people change their own password."""
    return _render_password_form(request, user, changed=bool(changed))


@router.post("/password")
def change_password(
    request: Request, user: Annotated[User, Depends(require_user)], current: Text, password: Text, again: Text
) -> Response:
    """Set a new password. It ends all other sessions of the account."""
    _require_accounts(request)
    message, wrong_field = _check_new_password(request, password, again, user.name)
    if message:
        return _render_password_form(request, user, message, wrong_field)
    if exceeds_sign_in_limit(request, user.name):
        return _refuse(request, "sign_in.too_often", 429, RETRY_HEADERS)
    account = get_accounts(request).change_password(user.name, current, password)
    if account is None:
        return _render_password_form(request, user, translations_for_request(request)("password.wrong"), "current")
    _start_session(request, account)
    return RedirectResponse("/password?changed=1", 303)


def _check_new_password(request: Request, password: str, again: str, name: str) -> tuple[str, str]:
    """Return a message about a new password and the field that it is about; two empty texts if it is good."""
    t = translations_for_request(request)
    problem = find_password_problem(password, (name, *sorted(request.app.state.access.hosts)))
    if problem is not None:
        return t(f"invite.{problem}", least=MIN_PASSWORD_LENGTH, most=MAX_PASSWORD_LENGTH), "password"
    return (t("invite.differ"), "again") if password != again else ("", "")


def _require_accounts(request: Request) -> None:
    if not request.app.state.access.accounts:
        raise HTTPException(404, "Without accounts there are no passwords.")


def _render_password_form(
    request: Request, user: User, message: str = "", wrong_field: str = "", changed: bool = False
) -> Response:
    _require_accounts(request)
    return render_page(
        request, "password.html", 422 if message else 200, user=user, message=message, wrong_field=wrong_field,
        changed=changed, min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH,
    )  # fmt: skip


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
