"""The store of the `project` of a test file, and cheap password hashes: a sign-in does not take a second."""

import argon2
import pytest

from hfi_core.annotation.security import accounts
from tests.support.stores import store_in


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_HASHER", hasher)
    monkeypatch.setattr(accounts, "_DUMMY_HASH", hasher.hash("nobody's"))


@pytest.fixture
def store(project):
    """The feedback store of the project."""
    with store_in(project.folder) as store:
        yield store
