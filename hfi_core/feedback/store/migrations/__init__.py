"""Alembic migrations of the store, run by `migrating.py`."""
