"""Hash passwords cheaply, so that a sign-in does not take a second in tests."""

import argon2
import pytest

from hfi_core.annotation.security import accounts


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_HASHER", hasher)
    monkeypatch.setattr(accounts, "_DUMMY_HASH", hasher.hash("nobody's"))
