"""Who may come in from beyond this machine: accounts, one-time invitations and sessions, in a store of their own.

Passwords are kept as Argon2id, invitations and sessions as digests: whoever reads the file can sign in by none of them.
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

from hfi_core.annotation.security.sessions import LIFE_SECONDS
from hfi_core.errors import UserError

Role = Literal["annotator", "lead"]

ACCOUNTS = "accounts.db"
LEAST_PASSWORD, MOST_PASSWORD, MOST_NAME = 12, 200, 100
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
_UNKNOWN = _HASHER.hash(secrets.token_urlsafe())
# Argon2 takes 64 MiB a call: a crowd at the door must not take the machine's memory.
_AT_ONCE = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Account:
    """A person who may sign in."""

    name: str
    role: Role


@dataclass(frozen=True)
class Invitation:
    """A link that makes an account, or gives an existing one a new password; once, and not for ever."""

    name: str
    role: Role
    expires_at: float


class Accounts:
    """The file `.hfi/accounts.db`, readable by its owner only."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def close(self) -> None:
        """Let the file go."""
        self._engine.dispose()

    def accounts(self) -> list[Account]:
        """Everybody who may sign in, by name."""
        with self._reading() as connection:
            return [Account(*row) for row in connection.execute(text("SELECT name, role FROM account ORDER BY key"))]

    def invitations(self) -> list[Invitation]:
        """Links that may still be used."""
        query = text("SELECT name, role, expires_at FROM invitation WHERE expires_at > :now ORDER BY key")
        with self._reading() as connection:
            return [Invitation(*row) for row in connection.execute(query, {"now": time.time()})]

    def knows(self, name: str) -> bool:
        """Whether somebody could come in under a name: by an account, or by a link that may still be used."""
        keys = {_key(one.name) for one in (*self.accounts(), *self.invitations())}
        return _key(name) in keys

    def invite(self, name: str, role: Role, life: float = INVITATION_SECONDS) -> str:
        """A new one-time token for a person; an earlier link for the same person is void from now on."""
        name, token = proper_name(name), secrets.token_urlsafe(32)
        row = {"digest": _digest(token), "key": _key(name), "name": name, "role": role, "end": time.time() + life}
        with self._writing() as connection:
            connection.execute(text("DELETE FROM invitation WHERE key = :key"), row)
            connection.execute(text("INSERT INTO invitation VALUES (:digest, :key, :name, :role, :end)"), row)
        return token

    def invitation(self, token: str) -> Invitation | None:
        """What a token offers; None if it was used, is over, or never was."""
        query = text("SELECT name, role, expires_at FROM invitation WHERE digest = :digest AND expires_at > :now")
        with self._reading() as connection:
            row = connection.execute(query, {"digest": _digest(token), "now": time.time()}).one_or_none()
        return None if row is None else Invitation(*row)

    def accept(self, token: str, password: str) -> Account | None:
        """Use a token up and set the password; None if somebody was first. All earlier sessions end."""
        with _AT_ONCE:
            hashed = _HASHER.hash(password)
        taken = text("DELETE FROM invitation WHERE digest = :digest AND expires_at > :now RETURNING key, name, role")
        with self._writing() as connection:
            row = connection.execute(taken, {"digest": _digest(token), "now": time.time()}).one_or_none()
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

    def check(self, name: str, password: str) -> Account | None:
        """The account, if the password is its own. It takes as long for a name that nobody has."""
        with self._reading() as connection:
            query = text("SELECT name, role, password FROM account WHERE key = :key")
            row = connection.execute(query, {"key": _key(name)}).one_or_none()
        try:
            with _AT_ONCE:
                _HASHER.verify(_UNKNOWN if row is None else row.password, password)
        except (VerificationError, InvalidHashError):
            return None
        return None if row is None else Account(row.name, row.role)

    def sign_in(self, account: Account, session: str) -> None:
        """Let a session speak for an account until its time is over."""
        values = {"digest": _digest(session), "key": _key(account.name), "now": time.time()}
        with self._writing() as connection:
            connection.execute(text("DELETE FROM session WHERE expires_at <= :now"), values)
            connection.execute(
                text("INSERT INTO session VALUES (:digest, :key, :end)"), values | {"end": time.time() + LIFE_SECONDS}
            )

    def of_session(self, session: str) -> Account | None:
        """Whom a session speaks for."""
        query = text(
            "SELECT name, role FROM session JOIN account USING (key) WHERE digest = :digest AND expires_at > :now"
        )
        with self._reading() as connection:
            row = connection.execute(query, {"digest": _digest(session), "now": time.time()}).one_or_none()
        return None if row is None else Account(*row)

    def sign_out(self, session: str) -> None:
        """End a session, here and wherever its cookie was copied to."""
        with self._writing() as connection:
            connection.execute(text("DELETE FROM session WHERE digest = :digest"), {"digest": _digest(session)})

    def remove(self, name: str) -> bool:
        """Take an account, its sessions and its open invitation away; False if there was none."""
        with self._writing() as connection:
            rows = 0
            for table in ("session", "invitation", "account"):
                rows += connection.execute(text(f"DELETE FROM {table} WHERE key = :key"), {"key": _key(name)}).rowcount
        with self._reading() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # earlier pages hold the name, too
        return rows > 0

    def _reading(self):
        return self._engine.connect()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()


def open_accounts(private: Path) -> Accounts:
    """Open the project's accounts; the file is made at the first use."""
    private.mkdir(parents=True, exist_ok=True)
    path = private / ACCOUNTS
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its journals the same rights
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _settle(connection, _record) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        for pragma in (
            "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000",
            "secure_delete = ON",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")

    with engine.begin() as connection:
        for table in _TABLES:
            connection.execute(text(table))
    return Accounts(engine)


def accounts_of(request: Request) -> Accounts:
    """The accounts of the application that a request reached."""
    state = request.app.state
    if getattr(state, "accounts", None) is None:
        state.accounts = open_accounts(state.access.private)
    return state.accounts


def proper_name(name: str) -> str:
    """A person's name as we keep it; raises UserError for none, a very long one, or control characters."""
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > MOST_NAME or any(unicodedata.category(letter).startswith("C") for letter in name):
        raise UserError(f"A name has 1 to {MOST_NAME} letters, and no control characters.")
    return name


def _key(name: str) -> str:
    """Names that differ in case only are one account."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _digest(secret: str) -> str:
    # Tokens are 256 random bits: a plain digest cannot be turned around.
    return hashlib.sha256(secret.encode()).hexdigest()
