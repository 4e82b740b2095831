"""How a store's database is, asked without changing it: no table is made, nothing is migrated."""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, text

from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.errors import format_store_name
from hfi_core.feedback.store.migrate import HEAD, read_revision
from hfi_core.feedback.store.tables import judgement


@dataclass(frozen=True)
class StoreHealth:
    """What a store's database says of itself."""

    name: str
    """The store as it is named to people, without a password."""
    server: str
    revision: str | None
    """Of its tables; None where there are none yet."""
    durable: dict[str, tuple[str, str]]
    """Settings that a promise of durability rests on: what each is, and what it must be."""
    writable: bool
    skew: float | None
    """Seconds that the server's clock is ahead of this machine's; None where both are one."""

    @property
    def current(self) -> bool:
        """Whether its tables are those of this version."""
        return self.revision == HEAD

    @property
    def careless(self) -> dict[str, tuple[str, str]]:
        """The settings under which an acknowledged judgement could be lost."""
        return {name: both for name, both in self.durable.items() if both[0] != both[1]}


def inspect_store(url: str) -> StoreHealth:
    """Ask the database in `feedback.database_url`.

    Raises UserError as `open_store` does. A SQLite file that is missing is made: ask `is_there` first.
    """
    database = Database(url)
    try:
        with database.read() as connection:
            found = read_revision(connection)
            if database.embedded:
                version = connection.execute(text("SELECT sqlite_version()")).scalar_one()
                durable = {"journal_mode": (_pragma(connection, "journal_mode"), "wal")}
                durable |= {"synchronous": (_pragma(connection, "synchronous"), "2")}
                writable, skew = True, None
            else:
                version = _setting(connection, "server_version")
                names = ("fsync", "full_page_writes", "synchronous_commit")
                durable = {name: (_setting(connection, name), "on") for name in names}
                writable, skew = _may_write(connection, found), _skew(connection)
        if database.embedded:
            database.write(lambda connection: connection.execute(text("SELECT 1")))  # takes the lock, or says why not
        kind = "SQLite" if database.embedded else "PostgreSQL"
        return StoreHealth(format_store_name(database.url), f"{kind} {version}", found, durable, writable, skew)
    finally:
        database.close()


def _pragma(connection: Connection, name: str) -> str:
    return str(connection.execute(text(f"PRAGMA {name}")).scalar_one())


def _setting(connection: Connection, name: str) -> str:
    return str(connection.execute(text(f"SHOW {name}")).scalar_one())


def _may_write(connection: Connection, found: str | None) -> bool:
    """Whether this user may, and the server is no standby."""
    asked = "has_schema_privilege(current_schema(), 'CREATE')"
    if found is not None:
        asked = f"has_table_privilege('{judgement.name}', 'INSERT')"
    return bool(connection.execute(text(f"SELECT NOT pg_is_in_recovery() AND {asked}")).scalar_one())


def _skew(connection: Connection) -> float:
    before = time.time()
    theirs = float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return theirs - (before + time.time()) / 2
