"""Alembic migrations of the store, run by `migrate.py`."""
