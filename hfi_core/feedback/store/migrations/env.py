"""Alembic's environment: run the revisions in the transaction of the process that opens the store."""

from alembic import context

from hfi_core.feedback.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
