"""The live store's database: up, down and wrong, asked without changing it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.doctor import database as feedback_database
from hfi_core.feedback.store import health, open_store
from tests.flows.doctor.conftest import by_name, verdicts
from tests.support import postgresql
from tests.support.servers import free_port

PASSWORD = "right-password"
WELL = {"feedback database", "feedback tables", "feedback rights", "feedback durability"}


@dataclass(frozen=True)
class Database:
    """A server that asks for passwords and keeps what it acknowledges."""

    server: postgresql.Server

    def url(self, name: str, user: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.server.port}/{name}"


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A durable PostgreSQL server with a store in `kept`, and an empty database `empty`."""
    if missing := postgresql.missing():
        pytest.skip(missing)
    with postgresql.running(free_port(), "scram-sha-256", PASSWORD, durable=True) as server:
        database = Database(server)
        for name in ("kept", "empty"):
            server.new_database(name)
        open_store(database.url("kept")).close()
        yield database


def check_database(params_with, url: str, store: bool = True):
    return feedback_database.check(
        params_with(
            feedback__database_url=url,
            feedback__store=store,
            feedback__simulated={},
            feedback__file="data/people.jsonl",
        )
    )


def test_a_server_that_keeps_its_promises_passes(database, params_with):
    found = by_name(check_database(params_with, database.url("kept")))
    assert found.keys() == WELL | {"feedback clock"} and all(finding.ok for finding in found.values())
    assert PASSWORD not in str(found) and "PostgreSQL" in found["feedback database"].message


def test_an_empty_database_is_well_and_stays_empty(database, params_with):
    found = by_name(check_database(params_with, database.url("empty")))
    assert all(finding.ok for finding in found.values()) and "none yet" in found["feedback tables"].message
    assert database.server.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "empty") == "0"


@pytest.mark.parametrize("wrong", ["down", "password", "name"])
def test_a_server_that_does_not_let_us_in_fails(database, params_with, wrong):
    url = {
        "down": f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{free_port()}/kept",
        "password": database.url("kept", password="wrong-password"),
        "name": database.url("nobody_knows"),
    }[wrong]
    (found,) = by_name(check_database(params_with, url)).values()
    assert found.mark == "FAILED" and "out of reach" in found.message and "-password" not in str(found)
    (found,) = check_database(params_with, url, store=False)
    assert found.mark == "note", "nothing uses it"


def test_a_user_who_may_only_read_fails(database, params_with):
    database.server.run(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    database.server.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", "kept")
    marks = verdicts(check_database(params_with, database.url("kept", "reader")))
    assert [name for name, mark in marks.items() if mark == "FAILED"] == ["feedback rights"]


def test_a_server_that_does_not_wait_for_the_disk_fails(postgresql, params_with):
    found = by_name(check_database(params_with, postgresql.new_database("careless")))["feedback durability"]
    assert found.mark == "FAILED" and "fsync is off, not on" in found.message


def test_clocks_that_differ_fail(database, params_with, monkeypatch):
    monkeypatch.setattr(health, "time", SimpleNamespace(time=lambda: time.time() - 60))
    found = by_name(check_database(params_with, database.url("kept")))["feedback clock"]
    assert found.mark == "FAILED" and "60." in found.message


def test_tables_of_a_newer_version_fail(params_with, tmp_path):
    url = f"sqlite:///{tmp_path}/newer.db"
    with open_store(url) as store:
        store._database.write(
            lambda connection: connection.exec_driver_sql("UPDATE hfi_feedback_version SET version_num = '9999'")
        )
    assert verdicts(check_database(params_with, url))["feedback tables"] == "FAILED"


def test_a_sqlite_file_passes_and_one_that_is_missing_is_not_made(params_with, tmp_path):
    url = f"sqlite:///{tmp_path}/feedback.db"
    assert verdicts(check_database(params_with, url)) == {"feedback database": "ok"}
    assert not (tmp_path / "feedback.db").exists()
    open_store(url).close()
    assert verdicts(check_database(params_with, url)) == dict.fromkeys(WELL, "ok")


def test_a_file_that_is_not_a_database_fails(params_with, tmp_path):
    Path(tmp_path / "feedback.db").write_text("not a database " * 200)
    assert verdicts(check_database(params_with, f"sqlite:///{tmp_path}/feedback.db")) == {"feedback database": "FAILED"}
