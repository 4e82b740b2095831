"""Find the person behind a request: a pseudonym and a role."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request

from hfi_core.annotation.security.accounts import Role

_PEOPLE = "people.json"


@dataclass(frozen=True)
class User:
    """A person who has signed in. Only `pseudonym` goes into the store."""

    pseudonym: str
    role: Role
    name: str


def find_user(request: Request) -> User | None:
    """Return the signed-in person, or None.

    A session counts as signed out once the link from its person to a pseudonym has been deleted.
    """
    access, session = request.app.state.access, request.state.session
    if access.accounts:
        from hfi_core.annotation.security.accounts import get_accounts

        account = get_accounts(request).find_by_session(session.id)
        if account is None:
            return None
        name, role = account.name, account.role
    else:
        # Whoever uses this machine owns the files as well: roles would protect nothing.
        name, role = session.name, "lead"
        if name is None:
            return None
    pseudonym = _find_pseudonym(access.private, name)
    return None if pseudonym is None else User(pseudonym, role, name)


def get_or_create_pseudonym(private: Path, name: str) -> str:
    """Return a person's pseudonym, and create one for a name that has none.

    Only signing in may call this: an open session must not create a new link after its person was forgotten.
    """
    from hfi_core.feedback.store.pseudonyms import open_people

    return open_people(private / _PEOPLE).get_or_create(name)


def _find_pseudonym(private: Path, name: str) -> str | None:
    path = private / _PEOPLE
    if not path.exists():
        return None
    status = path.stat()
    return _read_pseudonyms(path, (status.st_mtime_ns, status.st_ctime_ns)).get(name)


@lru_cache(maxsize=4)
def _read_pseudonyms(path: Path, _version: tuple[int, int]) -> Mapping[str, str]:
    """Return the pseudonyms by name. The cache reads each version of the file once."""
    from hfi_core.feedback.store.pseudonyms import open_people

    return {name: pseudonym for pseudonym, name in open_people(path).names().items()}


def safe_redirect_path(path: str) -> str:
    """Return `path` if it leads to a page of this server, else "/": redirects must not leave the server."""
    parts = urlsplit(path)
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and path.isprintable()
    return path if is_local else "/"
