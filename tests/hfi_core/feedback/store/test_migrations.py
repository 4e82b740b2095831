"""The migrations in the package make the tables that the code uses."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import hfi_core.feedback.store.migrations as migrations
from hfi_core.feedback.store.migrate import HEAD
from hfi_core.feedback.store.tables import VERSION_TABLE, metadata


def test_the_tables_are_those_of_the_code(store):
    def compare(connection):
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        return compare_metadata(context, metadata)

    with store._database.read() as connection:
        assert compare(connection) == []


def test_the_newest_revision_is_the_one_that_needs_no_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


@pytest.mark.integration
def test_opening_a_store_that_is_current_imports_no_alembic(tmp_path):
    import subprocess
    import sys

    from tests.support.projects import REPOSITORY

    code = (
        "import sys; from hfi_core.feedback.store import open_store; open_store(sys.argv[1]).close(); "
        "print([m for m in ('alembic', 'torch', 'scipy', 'pandas') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/f.db"]
    for expected in ("['alembic']", "[]"):
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected
