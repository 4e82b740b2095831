"""A real PostgreSQL server of the tests' own, where the machine has one installed."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import PATIENCE

PROGRAMS = ("initdb", "postgres", "psql")


def missing(*further: str) -> str:
    """Which of the programs are not here, as a reason to skip; '' if all are."""
    gone = [name for name in (*PROGRAMS, *further) if shutil.which(name) is None]
    return f"no PostgreSQL here: {', '.join(gone)} not found" if gone else ""


@dataclass(frozen=True)
class Server:
    """A running server: at the socket in its folder, and at a TCP port where one was asked for."""

    folder: Path
    port: int | None
    process: subprocess.Popen

    def run(self, statement: str, database: str = "postgres") -> str:
        """What a statement of the server's owner answers, unadorned."""
        command = ["psql", "-h", self.folder, "-p", str(self.port or 5432), "-U", "postgres", "-d", database]
        done = subprocess.run([*command, "-qAtc", statement], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def new_database(self, name: str, password: str = "") -> str:
        """Make an empty database; its URL. The server asks for no password, and takes any."""
        self.run(f"CREATE DATABASE {name}")
        return self.url(name, password)

    def url(self, name: str, password: str = "") -> str:
        """The URL of a database."""
        user = f"postgres:{password}" if password else "postgres"
        return f"postgresql+psycopg://{user}@/{name}?host={self.folder}&port={self.port or 5432}"


@contextmanager
def running(
    port: int | None = None, authentication: str = "trust", password: str = "", durable: bool = False
) -> Iterator[Server]:
    """A server that lives as long as the block; its superuser is `postgres`.

    With a `port` it listens on loopback, too, and there `authentication` counts. `durable`: it waits for the disk.
    """
    folder = Path(tempfile.mkdtemp(prefix="hfi-postgresql-"))
    process = None
    try:
        process = _start(folder, port, authentication, password, durable)
        server = Server(folder, port, process)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                server.run("SELECT 1")
                break
            except subprocess.CalledProcessError:
                assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.05)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # its fast shutdown; after SIGTERM it waits for its clients
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, port: int | None, authentication: str, password: str, durable: bool) -> subprocess.Popen:
    options = _as_user() | {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}}
    file = folder / "password"
    file.write_text(f"{password}\n")
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (folder, file):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    made = ["initdb", "-D", folder / "data", "-U", "postgres", "-E", "UTF8", "--no-sync", "--auth-local=trust"]
    made += [f"--auth-host={authentication}", *([f"--pwfile={file}"] if password else [])]
    subprocess.run(made, check=True, capture_output=True, **options)
    file.unlink()
    listening = ["-h", "127.0.0.1" if port else "", "-p", str(port or 5432)]
    command = ["postgres", "-D", folder / "data", "-k", folder, *listening]
    command += ["-c", f"fsync={'on' if durable else 'off'}", "-c", "max_connections=200"]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, **options)


def _as_user() -> dict:
    """PostgreSQL refuses to run as root."""
    return {"user": "nobody"} if os.geteuid() == 0 else {}
