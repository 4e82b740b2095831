"""A bare application behind the real protection, and a browser's half of the conversation with it."""

import re
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Request
from starlette.testclient import TestClient

from hfi_core.annotation import settings
from hfi_core.annotation.routes import dependencies, errors
from hfi_core.annotation.routes import sign_in as sign_in_routes
from hfi_core.annotation.security import identity, middleware, sessions
from hfi_core.annotation.security.accounts import open_accounts

LOCAL = "http://127.0.0.1:8484"
PUBLIC = "https://annotate.example.org"
PASSWORD = "correct horse battery"


def bare_app(private: Path, **access) -> FastAPI:
    """Who am I, a page for leads, and something that changes state."""
    app = FastAPI()
    middleware.protect(app, settings.Access(private, **access), errors.refuse)
    app.include_router(sign_in_routes.router)

    @app.get("/")
    def home(request: Request, user: Annotated[identity.User, Depends(dependencies.require_user)]) -> dict[str, str]:
        return {"name": user.name, "role": user.role, "csrf": sessions.issue_csrf_token(request)}

    @app.get("/for-leads")
    def leads(user: Annotated[identity.User, Depends(dependencies.require_lead)]) -> dict[str, str]:
        return {"name": user.name}

    @app.post("/change")
    async def change(request: Request, user: Annotated[identity.User, Depends(dependencies.require_user)]) -> dict:
        return {"body": (await request.body()).decode()}

    return app


class Browser(TestClient):
    """A client that keeps cookies, reads tokens from forms, and says where its requests come from."""

    def __init__(self, app: FastAPI, base_url: str = LOCAL):
        super().__init__(app, base_url=base_url, follow_redirects=False)
        self.origin = base_url

    def token(self, page: str = "/sign-in") -> str:
        """The token of a page's form."""
        return re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)[1]

    def fill(self, path: str, page: str = "/sign-in", **fields: str) -> httpx.Response:
        """Fill in the form of a page and send it."""
        fields["csrf_token"] = fields.get("csrf_token") or self.token(page)
        return self.post(path, data=fields, headers={"Origin": self.origin})

    @property
    def cookie(self) -> tuple[str, str]:
        """The session's cookie."""
        ((name, value),) = self.cookies.items()
        return name, value


def public_app(private: Path) -> FastAPI:
    """The bare application as it stands on a network."""
    return bare_app(private, accounts=True, secure=True, hosts=frozenset({"annotate.example.org"}))


def make_account(private: Path, name: str, role: str = "annotator") -> None:
    """An account with the password that all have here."""
    accounts = open_accounts(private)
    assert accounts.accept_invitation(accounts.invite(name, role), PASSWORD) is not None
    accounts.close()


def sign_in(app: FastAPI, name: str, base_url: str = PUBLIC) -> Browser:
    """A browser whose person has come in."""
    browser = Browser(app, base_url)
    assert browser.fill("/sign-in", name=name, password=PASSWORD).status_code == 303
    return browser
