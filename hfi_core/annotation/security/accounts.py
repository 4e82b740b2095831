"""Store accounts, one-time invitations and sessions of people who sign in from other machines.

The file holds Argon2id hashes of passwords, and digests of invitations and sessions. Nobody can sign in with what the
file holds.
"""

import hashlib
import os
import secrets
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Request
from sqlalchemy import Connection, Engine, create_engine, event, text

from hfi_core.annotation.security.sessions import SESSION_SECONDS
from hfi_core.errors import UserError

Role = Literal["annotator", "lead"]

ACCOUNTS = "accounts.db"
MAX_NAME_LENGTH = 100
INVITATION_SECONDS = 7 * 24 * 60 * 60

_TABLES = (
    """CREATE TABLE IF NOT EXISTS account (
        key TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('annotator', 'lead')),
        password TEXT NOT NULL, created_at REAL NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS invitation (
        digest TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('annotator', 'lead')), expires_at REAL NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS session (
        digest TEXT PRIMARY KEY, key TEXT NOT NULL REFERENCES account (key) ON DELETE CASCADE,
        expires_at REAL NOT NULL)""",
)
_HASHER = PasswordHasher()
_DUMMY_HASH = _HASHER.hash(secrets.token_urlsafe())
# Argon2 takes 64 MiB a call: many sign-ins at once must not use up the machine's memory.
_HASHING_SLOTS = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Account:
    """A person who may sign in."""

    name: str
    role: Role


@dataclass(frozen=True)
class Invitation:
    """A link that works once until it expires: it creates an account, or sets a new password for an existing one."""

    name: str
    role: Role
    expires_at: float


class Accounts:
    """The file `.hfi/accounts.db`, readable by its owner only."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def list_accounts(self) -> list[Account]:
        """Return the accounts in the order of their names."""
        with self._connect() as connection:
            return [Account(*row) for row in connection.execute(text("SELECT name, role FROM account ORDER BY key"))]

    def list_invitations(self) -> list[Invitation]:
        """Return the invitations that are still valid."""
        query = text("SELECT name, role, expires_at FROM invitation WHERE expires_at > :now ORDER BY key")
        with self._connect() as connection:
            return [Invitation(*row) for row in connection.execute(query, {"now": time.time()})]

    def can_sign_in(self, name: str) -> bool:
        """Return whether a name has an account or a valid invitation."""
        names = [account.name for account in self.list_accounts()]
        names += [invitation.name for invitation in self.list_invitations()]
        return _account_key(name) in map(_account_key, names)

    def invite(self, name: str, role: Role, lifetime_seconds: float = INVITATION_SECONDS) -> str:
        """Return a new one-time token for a person. It replaces an earlier invitation of the same person."""
        name, token = normalize_name(name), secrets.token_urlsafe(32)
        end = time.time() + lifetime_seconds
        row = {"digest": _digest(token), "key": _account_key(name), "name": name, "role": role, "end": end}
        with self._transaction() as connection:
            connection.execute(text("DELETE FROM invitation WHERE key = :key"), row)
            connection.execute(text("INSERT INTO invitation VALUES (:digest, :key, :name, :role, :end)"), row)
        return token

    def find_invitation(self, token: str) -> Invitation | None:
        """Return the invitation of a token, or None if the token is unknown, used or expired."""
        query = text("SELECT name, role, expires_at FROM invitation WHERE digest = :digest AND expires_at > :now")
        with self._connect() as connection:
            row = connection.execute(query, {"digest": _digest(token), "now": time.time()}).one_or_none()
        return None if row is None else Invitation(*row)

    def accept_invitation(self, token: str, password: str) -> Account | None:
        """Use up a token, set the password, and end all earlier sessions of the account.

        Returns None if the token is not valid, for example because another request was faster.
        """
        with _HASHING_SLOTS:
            hashed = _HASHER.hash(password)
        query = text("DELETE FROM invitation WHERE digest = :digest AND expires_at > :now RETURNING key, name, role")
        with self._transaction() as connection:
            row = connection.execute(query, {"digest": _digest(token), "now": time.time()}).one_or_none()
            if row is None:
                return None
            values = {"key": row.key, "name": row.name, "role": row.role, "password": hashed, "now": time.time()}
            connection.execute(text("DELETE FROM session WHERE key = :key"), values)
            connection.execute(
                text(
                    """INSERT INTO account VALUES (:key, :name, :role, :password, :now)
                    ON CONFLICT (key) DO UPDATE SET role = :role, password = :password"""
                ),
                values,
            )
            name = connection.execute(text("SELECT name FROM account WHERE key = :key"), values).scalar_one()
        return Account(name, row.role)

    def authenticate(self, name: str, password: str) -> Account | None:
        """Return the account if the password is right.

        An unknown name takes as long as a known one, so that the time does not tell which names exist.
        """
        with self._connect() as connection:
            query = text("SELECT name, role, password FROM account WHERE key = :key")
            row = connection.execute(query, {"key": _account_key(name)}).one_or_none()
        try:
            with _HASHING_SLOTS:
                _HASHER.verify(_DUMMY_HASH if row is None else row.password, password)
        except (VerificationError, InvalidHashError):
            return None
        return None if row is None else Account(row.name, row.role)

    def change_password(self, name: str, current: str, password: str) -> Account | None:
        """Set a new password and end all sessions of the account. Returns None if `current` is not the password."""
        query = text("SELECT name, role, password FROM account WHERE key = :key")
        with self._connect() as connection:
            row = connection.execute(query, {"key": _account_key(name)}).one_or_none()
        if row is None or self.authenticate(name, current) is None:
            return None
        with _HASHING_SLOTS:
            hashed = _HASHER.hash(password)
        values = {"key": _account_key(name), "old": row.password, "new": hashed}
        update = text("UPDATE account SET password = :new WHERE key = :key AND password = :old")
        with self._transaction() as connection:
            if not connection.execute(update, values).rowcount:  # another request was faster
                return None
            connection.execute(text("DELETE FROM session WHERE key = :key"), values)
        return Account(row.name, row.role)

    def start_session(self, account: Account, session: str) -> None:
        """Link a session to an account until the session expires."""
        now = time.time()
        values = {"digest": _digest(session), "key": _account_key(account.name), "end": now + SESSION_SECONDS}
        with self._transaction() as connection:
            connection.execute(text("DELETE FROM session WHERE expires_at <= :now"), {"now": now})
            connection.execute(text("INSERT INTO session VALUES (:digest, :key, :end)"), values)

    def find_by_session(self, session: str) -> Account | None:
        """Return the account of a session, or None."""
        query = text(
            "SELECT name, role FROM session JOIN account USING (key) WHERE digest = :digest AND expires_at > :now"
        )
        with self._connect() as connection:
            row = connection.execute(query, {"digest": _digest(session), "now": time.time()}).one_or_none()
        return None if row is None else Account(*row)

    def end_session(self, session: str) -> None:
        """End a session, also in browsers that its cookie was copied to."""
        with self._transaction() as connection:
            connection.execute(text("DELETE FROM session WHERE digest = :digest"), {"digest": _digest(session)})

    def remove(self, name: str) -> bool:
        """Delete an account, its sessions and its invitation. Returns False if there was none of them."""
        key, rows = {"key": _account_key(name)}, 0
        with self._transaction() as connection:
            for table in ("session", "invitation", "account"):
                rows += connection.execute(text(f"DELETE FROM {table} WHERE key = :key"), key).rowcount
        with self._connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # the write-ahead log still holds the name
        return rows > 0

    def _connect(self):
        return self._engine.connect()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()


def open_accounts(private: Path) -> Accounts:
    """Open the project's accounts. The first call creates the file."""
    private.mkdir(parents=True, exist_ok=True)
    path = private / ACCOUNTS
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its journals the same permissions
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection, _record) -> None:
        connection.isolation_level = None  # `_transaction` begins transactions itself
        for pragma in (
            "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000",
            "secure_delete = ON",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")

    with engine.begin() as connection:
        for table in _TABLES:
            connection.execute(text(table))
    return Accounts(engine)


def get_accounts(request: Request) -> Accounts:
    """Return the accounts of a request's application."""
    state = request.app.state
    if getattr(state, "accounts", None) is None:
        state.accounts = open_accounts(state.access.private)
    return state.accounts


def normalize_name(name: str) -> str:
    """Return a person's name in the form that is stored.

    Raises UserError if the name is empty, too long, or has control characters.
    """
    name = _join_words(name)
    if not name or len(name) > MAX_NAME_LENGTH or any(unicodedata.category(letter).startswith("C") for letter in name):
        raise UserError(f"A name has 1 to {MAX_NAME_LENGTH} characters and no control characters.")
    return name


def _account_key(name: str) -> str:
    """Return the key of a name's account. Names that differ only in case share one account."""
    return _join_words(name).casefold()


def _join_words(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def _digest(secret: str) -> str:
    # Tokens are 256 random bits: a digest without salt cannot be reversed.
    return hashlib.sha256(secret.encode()).hexdigest()
