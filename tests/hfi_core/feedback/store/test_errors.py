"""Each thing that goes wrong with a database is one message that says how to mend it."""

import resource
import sqlite3
import subprocess
import sys
import threading

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.store import database, open_store
from tests.support.projects import REPOSITORY
from tests.support.stored_judgements import binary, ids


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("feedback.db", "is not the URL of a database"),
        ("", "is not the URL of a database"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite+nonsense:///feedback.db", "the store is in SQLite or PostgreSQL"),
        ("mysql://root:secret@localhost/x", "the store is in SQLite or PostgreSQL"),
        ("postgresql://localhost", "names no database"),
        ("postgresql://localhost:many/x", "is not the URL of a database"),
        ("postgresql+psycopg://ana:secret@127.0.0.1:1/x", "is out of reach"),
        ("postgresql+psycopg://ana:secret@/x?host=/nowhere", "is out of reach"),
    ],
)
def test_a_url_that_leads_nowhere(url, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_url_starts_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///deep/feedback.db") as store:
        monkeypatch.chdir("/")
        assert store.add(binary("j-1"))
    assert (tmp_path / "deep/feedback.db").exists()


@pytest.mark.parametrize("name", ["unknown", "postgres"])
def test_a_database_or_user_that_the_server_does_not_know(postgresql, name):
    user = "nobody_known" if name == "postgres" else "postgres"
    with pytest.raises(UserError, match="out of reach"):
        open_store(postgresql.url(name).replace("postgres@", f"{user}@"))


def test_a_store_of_a_newer_version(url):
    with open_store(url) as store:
        store._database.write(
            lambda connection: connection.exec_driver_sql("UPDATE hfi_feedback_version SET version_num = '9999'")
        )
    with pytest.raises(UserError, match=r"is from a newer version \(its revision is '9999'\)"):
        open_store(url)


def test_a_file_that_is_not_a_database(tmp_path):
    (tmp_path / "f.db").write_text("id,answer\n" * 100)
    with pytest.raises(UserError, match="is not a SQLite database"):
        open_store(f"sqlite:///{tmp_path}/f.db")


def test_a_folder(tmp_path):
    with pytest.raises(UserError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_database_of_something_else(tmp_path):
    with sqlite3.connect(tmp_path / "f.db") as other:
        other.execute("CREATE TABLE experiments (id)")
    other.close()
    with pytest.raises(UserError, match="is the database of another program"):
        open_store(f"sqlite:///{tmp_path}/f.db")


def test_a_store_that_somebody_holds_locked(tmp_path, monkeypatch):
    path = tmp_path / "f.db"
    with open_store(f"sqlite:///{path}") as store:
        store.add(binary("j-1"))
        monkeypatch.setattr(database, "LOCK_TIMEOUT_SECONDS", 0.2)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="is locked by another program"):
            store.add(binary("j-2", "bo"))
        assert ids(store.read_judgements()) == ["j-1"], "who reads need not wait"
        holder.execute("ROLLBACK")
        holder.close()
        assert store.add(binary("j-2", "bo"))


_FULL = """
import resource, signal, sys
from hfi_core.errors import UserError
from hfi_core.feedback.store import open_store
from tests.support.stored_judgements import binary
with open_store(sys.argv[1]) as store:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    n = 0
    try:
        for n in range(10_000):
            store.add(binary(f"j-{n:05d}", "ana", f"p{n}", note="x" * 2000))
    except UserError as error:
        print(n, error)
"""


@pytest.mark.integration
def test_a_full_disk_is_named_and_what_was_acknowledged_stays(tmp_path):
    url = f"sqlite:///{tmp_path}/f.db"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, url], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    count, message = done.stdout.split(" ", 1)
    assert "make room" in message or "check the disk" in message
    with open_store(url) as store:
        assert ids(store.read_judgements())[: int(count)] == [f"j-{n:05d}" for n in range(int(count))]
        assert store.add(binary("after", "bo"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_server_that_drops_its_connections(postgresql):
    with open_store(postgresql.new_database("dropping")) as store:
        store.add(binary("j-1"))
        postgresql.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'dropping'")
        assert store.add(binary("j-2", "bo")), "a lost connection is replaced"


def test_many_who_open_a_new_store_at_once_make_it_once(url):
    failed = []

    def work(n: int) -> None:
        try:
            with open_store(url) as store:
                store.add(binary(f"j-{n}", f"a{n}"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with open_store(url) as store:
        assert len(ids(store.read_judgements())) == 8
