"""Inspect a store's database without changing it: no table is created or migrated."""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, text

from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.errors import format_store_name
from hfi_core.feedback.store.migrate import HEAD, read_revision
from hfi_core.feedback.store.tables import judgement


@dataclass(frozen=True)
class StoreHealth:
    """State of a store's database."""

    name: str
    """The store's name for messages, without a password."""
    server: str
    revision: str | None
    """Revision of its tables; None if there are none yet."""
    durability_settings: dict[str, tuple[str, str]]
    """Settings that durability depends on: name to (actual value, required value)."""
    writable: bool
    clock_skew: float | None
    """Seconds by which the server's clock is ahead of this machine's; None for SQLite."""

    @property
    def is_current(self) -> bool:
        """Whether its tables have this version's revision."""
        return self.revision == HEAD

    @property
    def unsafe_settings(self) -> dict[str, tuple[str, str]]:
        """The settings with which an acknowledged judgement could be lost."""
        return {name: values for name, values in self.durability_settings.items() if values[0] != values[1]}


def inspect_store(url: str) -> StoreHealth:
    """Inspect the database in `feedback.database_url`.

    A missing SQLite file is created, so call `store_exists` first. Raises UserError as `open_store` does.
    """
    database = Database(url)
    try:
        with database.read() as connection:
            revision_found = read_revision(connection)
            if database.embedded:
                version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
                durability_settings = {"journal_mode": (_read_pragma(connection, "journal_mode"), "wal")}
                durability_settings |= {"synchronous": (_read_pragma(connection, "synchronous"), "2")}
                writable, clock_skew = True, None
            else:
                version = _read_setting(connection, "server_version")
                names = ("fsync", "full_page_writes", "synchronous_commit")
                durability_settings = {name: (_read_setting(connection, name), "on") for name in names}
                writable, clock_skew = _may_write(connection, revision_found), _measure_clock_skew(connection)
        if database.embedded:
            database.write(lambda connection: connection.execute(text("SELECT 1")))  # takes the write lock, or raises
        kind = "SQLite" if database.embedded else "PostgreSQL"
        return StoreHealth(
            format_store_name(database.url),
            f"{kind} {version}",
            revision_found,
            durability_settings,
            writable,
            clock_skew,
        )
    finally:
        database.close()


def _read_pragma(connection: Connection, name: str) -> str:
    return str(connection.execute(text(f"PRAGMA {name}")).scalar_one())


def _read_setting(connection: Connection, name: str) -> str:
    return str(connection.execute(text(f"SHOW {name}")).scalar_one())


def _may_write(connection: Connection, revision_found: str | None) -> bool:
    """Return whether this user may write, and the server is not a standby."""
    privilege = "has_schema_privilege(current_schema(), 'CREATE')"
    if revision_found is not None:
        privilege = f"has_table_privilege('{judgement.name}', 'INSERT')"
    return bool(connection.execute(text(f"SELECT NOT pg_is_in_recovery() AND {privilege}")).scalar_one())


def _measure_clock_skew(connection: Connection) -> float:
    before = time.time()
    server_time = float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return server_time - (before + time.time()) / 2
