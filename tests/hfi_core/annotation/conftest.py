"""Passwords hashed cheaply, so that a test of the door takes no second a knock."""

import argon2
import pytest

from hfi_core.annotation.security import accounts


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_HASHER", hasher)
    monkeypatch.setattr(accounts, "_DUMMY_HASH", hasher.hash("nobody's"))
