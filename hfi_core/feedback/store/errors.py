"""Turn a database's errors into UserErrors that say how to fix the problem. They never contain a password."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, TimeoutError

from hfi_core.errors import UserError, first_line

_EXAMPLES = "`sqlite:///feedback.db` or `postgresql+psycopg://USER@HOST/NAME`"
_CLASHES = ("40001", "40P01")  # serialisation failure, deadlock
_FULL = ("53100",)


def parse_database_url(url_text: str) -> URL:
    """Parse the URL in `feedback.database_url`.

    Raises UserError if it names neither a SQLite file nor a PostgreSQL database.
    """
    try:
        url = make_url(url_text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise UserError(f"feedback.database_url is not the URL of a database; write {_EXAMPLES}.") from error
    if backend == "sqlite" and url.get_driver_name() in ("", "pysqlite"):
        if url.database in (None, "", ":memory:"):
            raise UserError(f"feedback.database_url names no file, so nothing would be kept; write {_EXAMPLES}.")
        return url.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        if not url.database:
            raise UserError(f"feedback.database_url names no database; write {_EXAMPLES}.")
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"feedback.database_url names {backend!r}; the store is in SQLite or PostgreSQL: {_EXAMPLES}.")


def store_exists(url_text: str) -> bool:
    """Return whether the store's SQLite file exists; always True for a server, which is not contacted."""
    url = parse_database_url(url_text)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def format_store_name(url: URL) -> str:
    """Format the store's name for messages, without a password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def is_serialization_conflict(error: DBAPIError) -> bool:
    """Return whether a transaction failed only because of a concurrent one, so that it may be retried."""
    return getattr(error.orig, "sqlstate", None) in _CLASHES


@contextmanager
def as_user_error(url: URL) -> Iterator[None]:
    """Raise the database's errors as UserErrors. Errors that mean a bug pass unchanged."""
    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(f"feedback.database_url is not the URL of a database; write {_EXAMPLES}.") from error
    except TimeoutError as error:
        raise UserError(f"The store {format_store_name(url)} is overloaded; try again in a moment.") from error
    except DBAPIError as error:
        description = _describe_error(url, error)
        if description is None:
            raise
        raise UserError(description) from error


def _describe_error(url: URL, error: DBAPIError) -> str | None:
    message, store_name = str(error.orig), format_store_name(url)
    if url.get_backend_name() == "sqlite":
        for phrase, description in (
            ("locked", "is locked by another program: end it (or its backup), then try again"),
            ("not a database", "is not a SQLite database: name another file in feedback.database_url"),
            ("malformed", "is damaged: restore a backup, or save what it holds with `sqlite3 FILE .recover`"),
            ("disk is full", "could not be written, the disk is full: make room and try again; "
             "what was acknowledged is kept"),
            ("disk I/O error", "could not be written or read: check the disk; what was acknowledged is kept"),
            ("unable to open", "cannot be opened: check that its folder exists and that you may write to it"),
            ("readonly", "is read-only for you: change the permissions of the file and its folder"),
        ):  # fmt: skip
            if phrase in message:
                return f"The store {store_name} {description}."
        return None
    state = getattr(error.orig, "sqlstate", None) or ""
    reason = first_line(error.orig or error)
    if state in _FULL:
        return f"The store {store_name} could not be written, its disk is full: make room and try again."
    if state.startswith("42501"):
        return f"The store {store_name} refuses: {reason}. The user needs the right to create and use tables in it."
    connecting = state[:2] in ("", "08", "28", "3D", "57") and "connect" in message.lower() + state
    if error.connection_invalidated or connecting:
        return (
            f"The store {store_name} is out of reach: {reason}. "
            "Check that the server runs, and that user name and password are right."
        )
    if state[:2] in ("08", "28", "3D", "53", "57"):
        return f"The store {store_name} is out of reach: {reason}."
    return None
