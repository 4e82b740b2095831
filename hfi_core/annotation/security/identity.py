"""Who is asking: the person behind a request, as a pseudonym and a role."""

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
    """A person who has come in. Only `pseudonym` goes into the store."""

    pseudonym: str
    role: Role
    name: str


def signed_in(request: Request) -> User | None:
    """The person, or None; nobody has come in whose link to a pseudonym was forgotten since."""
    access, session = request.app.state.access, request.state.session
    if access.accounts:
        from hfi_core.annotation.security.accounts import accounts_of

        account = accounts_of(request).of_session(session.id)
        name, role = (None, "annotator") if account is None else (account.name, account.role)
    else:
        # Whoever sits at the machine owns the files, too: a role would only pretend.
        name, role = session.name, "lead"
    pseudonym = None if name is None else _known(access.private, name)
    return None if pseudonym is None else User(pseudonym, role, name)


def pseudonym_of(private: Path, name: str) -> str:
    """The pseudonym by which the store knows a person; a new one for a new name, and for somebody who was forgotten.

    Only the door asks for it: a session that was open when its person was forgotten makes no link anew.
    """
    from hfi_core.feedback.store.pseudonyms import open_people

    return open_people(private / _PEOPLE).pseudonym(name)


def _known(private: Path, name: str) -> str | None:
    path = private / _PEOPLE
    if not path.exists():
        return None
    found = path.stat()
    return _links(path, (found.st_mtime_ns, found.st_ctime_ns)).get(name)


@lru_cache(maxsize=4)
def _links(path: Path, _version: tuple[int, int]) -> Mapping[str, str]:
    """Pseudonym by name, read once a version of the file."""
    from hfi_core.feedback.store.pseudonyms import open_people

    return {name: pseudonym for pseudonym, name in open_people(path).names().items()}


def local_path(path: str) -> str:
    """`path` if it leads to a page of ours, else the first page: nobody is sent elsewhere from here."""
    parts = urlsplit(path)
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and path.isprintable()
    return path if ours else "/"
