"""What a database says when it cannot, as one sentence that says how to mend it. No password is ever in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, TimeoutError

from hfi_core.errors import UserError, first_line

_EXAMPLES = "`sqlite:///feedback.db` or `postgresql+psycopg://USER@HOST/NAME`"
_CLASHES = ("40001", "40P01")  # serialisation failure, deadlock
_FULL = ("53100",)


def parse_database_url(text: str) -> URL:
    """The URL in `feedback.database_url`.

    Raises UserError if it names neither a SQLite file nor a PostgreSQL database.
    """
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise UserError(f"feedback.database_url is no database's URL; write {_EXAMPLES}.") from error
    if backend == "sqlite" and url.get_driver_name() in ("", "pysqlite"):
        if url.database in (None, "", ":memory:"):
            raise UserError(f"feedback.database_url names no file, so nothing would last; write {_EXAMPLES}.")
        return url.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        if not url.database:
            raise UserError(f"feedback.database_url names no database; write {_EXAMPLES}.")
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"feedback.database_url names {backend!r}; the store is in SQLite or PostgreSQL: {_EXAMPLES}.")


def store_exists(text: str) -> bool:
    """Whether a store was ever made; of a server this is not asked."""
    url = parse_database_url(text)
    return url.get_backend_name() != "sqlite" or Path(url.database).exists()


def format_store_name(url: URL) -> str:
    """The store as it is named to people."""
    return url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def is_serialization_conflict(error: DBAPIError) -> bool:
    """Whether the transaction failed only because another came between, so that it may be done anew."""
    return getattr(error.orig, "sqlstate", None) in _CLASHES


@contextmanager
def as_user_error(url: URL) -> Iterator[None]:
    """Turn what the database refuses into UserErrors; what is a bug passes."""
    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(f"feedback.database_url is no database's URL; write {_EXAMPLES}.") from error
    except TimeoutError as error:
        raise UserError(
            f"The store {format_store_name(url)} has too much to do at once; try again in a moment."
        ) from error
    except DBAPIError as error:
        told = _describe_error(url, error)
        if told is None:
            raise
        raise UserError(told) from error


def _describe_error(url: URL, error: DBAPIError) -> str | None:
    said, name = str(error.orig), format_store_name(url)
    if url.get_backend_name() == "sqlite":
        for phrase, told in (
            ("locked", "is locked by another program: end it (or its backup), then try again"),
            ("not a database", "is no SQLite database: name another file in feedback.database_url"),
            ("malformed", "is damaged: bring back a backup, or `sqlite3 FILE .recover` what is in it"),
            ("disk is full", "could not be written, the disk is full: make room and try again; "
             "what was acknowledged is kept"),
            ("disk I/O error", "could not be written or read: look at the disk; what was acknowledged is kept"),
            ("unable to open", "cannot be opened: is its folder there, and may you write in it?"),
            ("readonly", "is read-only for you: change the permissions of the file and its folder"),
        ):  # fmt: skip
            if phrase in said:
                return f"The store {name} {told}."
        return None
    state = getattr(error.orig, "sqlstate", None) or ""
    first = first_line(error.orig or error)
    if state in _FULL:
        return f"The store {name} could not be written, its disk is full: make room and try again."
    if state.startswith("42501"):
        return f"The store {name} refuses: {first}. The user needs the right to create and use tables in it."
    if error.connection_invalidated or state[:2] in ("", "08", "28", "3D", "57") and "connect" in said.lower() + state:
        return f"The store {name} is out of reach: {first}. Is the server up, and are name and password right?"
    if state[:2] in ("08", "28", "3D", "53", "57"):
        return f"The store {name} is out of reach: {first}."
    return None
