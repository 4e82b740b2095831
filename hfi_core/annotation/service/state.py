"""The server's own database, `.hfi/page.db`: consent, preferences, gold answers, pictures seen, and times of answers.

It holds no judgements; those are in the feedback store. People are pseudonyms in both.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hfi_core.errors import UserError

STATE_FILE = "page.db"
"""Name of the file in a project's private folder."""
_VERSION = 3
_BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another process."""
_TABLES_2 = """
CREATE TABLE secret (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE annotator (
    pseudonym TEXT PRIMARY KEY, consented_at TEXT, consent TEXT, preferences TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
CREATE TABLE exposure (
    annotator TEXT NOT NULL, picture TEXT NOT NULL, day TEXT NOT NULL, PRIMARY KEY (annotator, picture)
) WITHOUT ROWID;
CREATE INDEX exposure_by_day ON exposure (annotator, day);
CREATE TABLE gold (
    id TEXT PRIMARY KEY, annotator TEXT NOT NULL, concept TEXT NOT NULL, question TEXT NOT NULL,
    attempt INTEGER NOT NULL, correct INTEGER, row TEXT NOT NULL, supersedes TEXT UNIQUE
) WITHOUT ROWID;
CREATE INDEX gold_by_annotator ON gold (annotator, concept);
CREATE VIEW counting_gold AS SELECT * FROM gold AS one
    WHERE NOT EXISTS (SELECT 1 FROM gold AS later WHERE later.supersedes = one.id);
CREATE TABLE qualified (
    annotator TEXT NOT NULL, task TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (annotator, task)
) WITHOUT ROWID;
CREATE TABLE allowed (
    annotator TEXT NOT NULL, task TEXT NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (annotator, task)
) WITHOUT ROWID;
"""
_TABLES_3 = """
CREATE TABLE attempt (
    annotator TEXT NOT NULL, task TEXT NOT NULL, number INTEGER NOT NULL, questions TEXT NOT NULL,
    correct INTEGER, asked INTEGER, PRIMARY KEY (annotator, task, number)
) WITHOUT ROWID;
CREATE TABLE issued (
    annotator TEXT NOT NULL, concept TEXT NOT NULL, question TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (annotator, concept, question)
) WITHOUT ROWID;
CREATE TABLE receipt (
    id TEXT PRIMARY KEY, annotator TEXT NOT NULL, concept TEXT NOT NULL, question TEXT NOT NULL,
    received_at TEXT NOT NULL, shown_at TEXT, answered_at TEXT
) WITHOUT ROWID;
CREATE INDEX receipt_by_annotator ON receipt (annotator);
UPDATE gold SET supersedes = 'skip ' || substr(supersedes, 6)
    WHERE supersedes IN (SELECT id FROM gold WHERE row = '{}');
UPDATE gold SET id = 'skip ' || substr(id, 6) WHERE row = '{}';
"""
_MIGRATIONS = {0: (2, _TABLES_2), 2: (3, _TABLES_3)}
"""The statements that lead from a version of the tables to the next one."""
_ANNOTATOR_COLUMNS = {
    "annotator": "pseudonym", "exposure": "annotator", "gold": "annotator", "qualified": "annotator",
    "allowed": "annotator", "attempt": "annotator", "issued": "annotator", "receipt": "annotator",
}  # fmt: skip


class ServerState:
    """One SQLite file, shared by the threads of the server."""

    def __init__(self, path: Path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._lock = threading.RLock()
            self._create()
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"{path} cannot be opened: {error}. The annotation server keeps its state there."
            ) from error

    def _create(self) -> None:
        with self.transaction() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            while version in _MIGRATIONS:
                is_new = version == 0
                version, script = _MIGRATIONS[version]
                for statement in filter(str.strip, script.split(";\n")):
                    database.execute(statement)
                if is_new:
                    database.execute("INSERT INTO secret VALUES ('proof', ?)", (secrets.token_hex(32),))
                database.execute(f"PRAGMA user_version = {version}")
            if version != _VERSION:
                raise UserError(
                    f"{STATE_FILE} has version {version} of the annotation server's tables; this release reads "
                    f"version {_VERSION}.\n  To fix this: start the release that wrote the file, or a newer one."
                )

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction, which is on the disk when the block ends.

        With `durable=False` a power cut may undo the last transactions; a killed server does not. That is enough for
        counters. A block inside another one belongs to the outer transaction.
        """
        with self._lock:
            if self._database.in_transaction:
                yield self._database
                return
            self._database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def query(self, statement: str, *values: object) -> list[tuple]:
        """Return every row of a query."""
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    @property
    def proof_key(self) -> bytes:
        """The key that signs questions, so that only questions that were asked can be answered. Survives a restart."""
        ((value,),) = self.query("SELECT value FROM secret WHERE name = 'proof'")
        return bytes.fromhex(value)

    def forget(self, annotator: str) -> None:
        """Delete everything about an annotator."""
        with self.transaction() as database:
            for table, column in _ANNOTATOR_COLUMNS.items():
                database.execute(f"DELETE FROM {table} WHERE {column} = ?", (annotator,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
