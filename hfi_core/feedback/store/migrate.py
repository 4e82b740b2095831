"""Brings a database to this version's tables by Alembic, once, whoever opens it first."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from hfi_core.errors import UserError
from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.errors import format_store_name
from hfi_core.feedback.store.tables import VERSION_TABLE

HEAD = "0001"
"""The newest revision in `migrations/versions`; a test holds them equal. Who has it need not import Alembic."""
_LOCK = 0x6866_6973  # any number, for PostgreSQL's advisory lock


def migrate(database: Database) -> None:
    """Create or migrate the tables.

    Raises UserError for a database of a newer version, or one that holds something else.
    """
    with database.read() as connection:
        if read_revision(connection) == HEAD:
            return
    database.write(lambda connection: _migrate(database, connection), latest=True)


def read_revision(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()


def _migrate(database: Database, connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    if not database.embedded:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = read_revision(connection)
    if found == HEAD:  # somebody else has just done it
        return
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise UserError(
            f"The store {format_store_name(database.url)} is from a newer version (its revision is {found!r}).\n"
            "  To fix this: install that version, or name another store in feedback.database_url."
        )
    if found is None and database.embedded and inspect(connection).get_table_names():
        raise UserError(
            f"{format_store_name(database.url)} is the database of another program.\n"
            "  To fix this: name another file in feedback.database_url."
        )
    command.upgrade(config, "head")
