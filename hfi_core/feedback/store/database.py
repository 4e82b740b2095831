"""Connections and durable transactions of the store's database.

SQLite runs in WAL mode with `synchronous=FULL`, so a commit is on the disk when it returns, and writers queue.
PostgreSQL commits synchronously.
"""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from hfi_core.errors import UserError
from hfi_core.feedback.store.errors import as_user_error, is_serialization_conflict, parse_database_url

LOCK_TIMEOUT_SECONDS = 30.0
"""How long a writer waits for other writers."""
_POLL_SECONDS = (0.001, 0.004)
"""Time between two tries. SQLite's own waiting grows to 100 ms, and then misses the short gaps between an import's
transactions."""
_MAX_TRIES = 20
_MARK = "hfi_writes"
_LATEST, _ONE_STATE = "READ COMMITTED", "REPEATABLE READ"

T = TypeVar("T")


class Database:
    """A pool of connections with transactions."""

    def __init__(self, url: str):
        self.url: URL = parse_database_url(url)
        self.embedded = self.url.get_backend_name() == "sqlite"
        with as_user_error(self.url):
            self.engine: Engine = _sqlite(self.url) if self.embedded else _postgresql(self.url)
        # SQLite's writers of one process queue at this lock, so only one of them polls the file.
        self._write_lock = threading.Lock() if self.embedded else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the store throughout and blocks no other."""
        with as_user_error(self.url), self.engine.connect() as connection:
            if not self.embedded:
                connection = connection.execution_options(isolation_level=_ONE_STATE, postgresql_readonly=True)
            with connection.begin():
                yield connection

    def write(self, work: Callable[[Connection], T], *, latest: bool = False) -> T:
        """Run `work` in one transaction, durable on return. Retry if a concurrent writer came first.

        All statements see one state of the store. With `latest` each statement sees the latest state, which is needed
        after waiting for a lock. (On SQLite there is no difference: writers queue.)
        """
        options = {_MARK: True} if self.embedded else {"isolation_level": _LATEST if latest else _ONE_STATE}
        with as_user_error(self.url):
            for tries_left in reversed(range(_MAX_TRIES)):
                try:
                    with (
                        self._write_lock or nullcontext(),
                        self.engine.connect() as connection,
                        connection.execution_options(**options).begin(),
                    ):
                        return work(connection)
                except DBAPIError as error:
                    if not tries_left or not (isinstance(error, IntegrityError) or is_serialization_conflict(error)):
                        raise
                    time.sleep(random.uniform(0, 0.02))
            raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The store {path} cannot be created: {error}.\n  To fix this: correct feedback.database_url."
        ) from error
    # An absolute path names the same file after the process changes its folder.
    url = url.set(database=str(path.absolute()))
    engine = create_engine(url, pool_size=8, max_overflow=56, connect_args={"timeout": LOCK_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: sqlite3.Connection, _record) -> None:
        connection.isolation_level = None  # the module would begin transactions too late
        _retry_while_locked(lambda: _use_wal(connection))
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # deleted judgements must not stay in the file

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(_MARK):
            connection.exec_driver_sql("BEGIN")
            return
        raw = connection.connection.driver_connection
        assert raw is not None, "a connection that begins is open"
        raw.execute("PRAGMA busy_timeout = 0")
        try:
            _retry_while_locked(lambda: raw.execute("BEGIN IMMEDIATE"))
        except sqlite3.OperationalError as error:
            raise OperationalError("BEGIN IMMEDIATE", None, error) from error  # as SQLAlchemy would raise it
        finally:
            raw.execute(f"PRAGMA busy_timeout = {round(LOCK_TIMEOUT_SECONDS * 1000)}")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        connection.execute("PRAGMA journal_mode = WAL")


def _retry_while_locked(execute: Callable[[], object]) -> None:
    """Retry until no one else writes. Raises SQLite's error after `LOCK_TIMEOUT_SECONDS`."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            execute()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(*_POLL_SECONDS))


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url, pool_size=8, max_overflow=24, pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "hfi"},
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def _set_synchronous_commit(connection, _record) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
        connection.commit()

    return engine
