"""Who is asking: the person behind a request, as a pseudonym and a role."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from fastapi import HTTPException, Request

Role = Literal["annotator", "lead"]


@dataclass(frozen=True)
class User:
    """A person who has come in. Only `pseudonym` goes into the store."""

    pseudonym: str
    role: Role
    name: str


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


def signed_in(request: Request) -> User | None:
    """The person, or None."""
    access, session = request.app.state.access, request.state.session
    if not access.accounts:
        # Whoever sits at the machine owns the files, too: a role would only pretend.
        return None if session.name is None else User(pseudonym_of(access.private, session.name), "lead", session.name)
    from hfi_core.annotation.accounts import accounts_of

    account = accounts_of(request).of_session(session.id)
    return None if account is None else User(pseudonym_of(access.private, account.name), account.role, account.name)


def pseudonym_of(private: Path, name: str) -> str:
    """The pseudonym by which the store knows a person; a new one for somebody who was forgotten."""
    people = private / "people.json"
    return _pseudonym(people, people.stat().st_mtime_ns if people.exists() else 0, name)


@lru_cache(maxsize=4096)
def _pseudonym(path: Path, _version: int, name: str) -> str:
    from hfi_core.feedback.store.people import open_people

    return open_people(path).pseudonym(name)
