"""A store in each database: SQLite, and a real PostgreSQL server that lives as long as the tests."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from hfi_core.feedback.store import Store, open_store
from tests.support.postgresql import Server

_numbers = count()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def new_url(request, tmp_path) -> Callable[[], str]:
    """Gives the URL of an empty database at each call."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/feedback-{next(_numbers)}.db"
    server: Server = request.getfixturevalue("postgresql")
    return lambda: server.new_database(f"feedback_{next(_numbers)}")


@pytest.fixture
def url(new_url) -> str:
    """The URL of one empty database."""
    return new_url()


@pytest.fixture
def store(url) -> Iterator[Store]:
    """One empty store."""
    with open_store(url) as opened:
        yield opened
