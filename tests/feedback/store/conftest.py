"""A store in each database: SQLite, and a real PostgreSQL server that lives as long as the tests."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from hfi_core.feedback.store import Store, open_store

_BINARIES = ("initdb", "postgres", "psql")


def _as_user() -> dict:
    """PostgreSQL refuses to run as root."""
    return {"user": "nobody"} if os.geteuid() == 0 else {}


def _server(folder: Path) -> subprocess.Popen:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    data = folder / "data"
    settled = _as_user() | {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}}
    made = ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, **settled)
    command = ["postgres", "-D", data, "-k", folder, "-h", "", "-c", "fsync=off", "-c", "max_connections=200"]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, **settled)


def psql(folder: Path, statement: str) -> None:
    """Run a statement as the server's owner."""
    command = ["psql", "-h", folder, "-U", "postgres", "-d", "postgres", "-qc", statement]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Path]:
    """The folder with the socket of a running server."""
    missing = [name for name in _BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no PostgreSQL here: {', '.join(missing)} not found")
    folder = Path(tempfile.mkdtemp(prefix="hfi-postgresql-"))
    server = None
    try:
        server = _server(folder)
        until = time.monotonic() + 120
        while True:
            try:
                psql(folder, "SELECT 1")
                break
            except subprocess.CalledProcessError:
                assert server.poll() is None and time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.2)
        yield folder
    finally:
        if server is not None:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(30)
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


_numbers = count()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request, tmp_path) -> Callable[[], str]:
    """Gives the URL of an empty database at each call."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/feedback-{next(_numbers)}.db"
    folder = request.getfixturevalue("postgresql")

    def make() -> str:
        name = f"feedback_{next(_numbers)}"
        psql(folder, f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={folder}"

    return make


@pytest.fixture
def url(new_url) -> str:
    """The URL of one empty database."""
    return new_url()


@pytest.fixture
def store(url) -> Iterator[Store]:
    """One empty store."""
    with open_store(url) as opened:
        yield opened
