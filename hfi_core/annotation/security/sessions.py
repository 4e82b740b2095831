"""Browser sessions in signed cookies: a random id, and in local use the person's name."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from itsdangerous import BadData, URLSafeTimedSerializer

SESSION_SECONDS = 12 * 60 * 60
"""Lifetime of a session with an account: one working day."""
LOCAL_SESSION_SECONDS = 90 * 24 * 60 * 60
"""Lifetime of a local session, whose cookie holds only the name that the person gave."""

_KEY = "session.key"
_KEY_BYTES = 32


@dataclass
class Session:
    """Content of the session cookie; `changed` makes the response set the cookie."""

    id: str
    name: str | None = None
    is_stored: bool = False
    """The browser sent this session in a cookie."""
    changed: bool = False

    @classmethod
    def new(cls) -> "Session":
        """Return an unused session. It becomes a cookie when `persist` or `rotate` is called."""
        return cls(secrets.token_urlsafe(32))

    def rotate(self, name: str | None = None) -> None:
        """Take a new id and set the name. An attacker who planted or saw the old id gains nothing."""
        self.id, self.name, self.changed = secrets.token_urlsafe(32), name, True

    def persist(self) -> None:
        """Make the response set the cookie unless the browser has it."""
        self.changed = self.changed or not self.is_stored


class SessionCookies:
    """Signs and reads session cookies with the project's key; the cookie's name depends on the project.

    Cookies do not depend on the port: two projects on one machine would otherwise overwrite each other's cookie.
    """

    def __init__(self, key: bytes, *, secure: bool, max_age_seconds: int):
        self._key, self._secure, self._max_age_seconds = key, secure, max_age_seconds
        # `__Host-` binds the cookie to this host, this path and TLS: a sibling host cannot set it.
        self.name = f"{'__Host-' if secure else ''}hfi-{self._mac('cookie', '')[:8]}"
        self._signer = URLSafeTimedSerializer(key, salt="hfi-session", signer_kwargs={"digest_method": hashlib.sha256})

    def read(self, value: str | None) -> Session:
        """Return the session of a cookie; a new one if the cookie is missing, forged or expired."""
        if value:
            with suppress(BadData, TypeError, ValueError):
                identity, name = self._signer.loads(value, max_age=self._max_age_seconds)
                return Session(str(identity), None if name is None else str(name), is_stored=True)
        return Session.new()

    def set_cookie_header(self, session: Session) -> str:
        """Return the value of the header Set-Cookie."""
        value = self._signer.dumps([session.id, session.name])
        flags = "; Secure" if self._secure else ""
        return f"{self.name}={value}; Path=/; Max-Age={self._max_age_seconds}; HttpOnly; SameSite=Lax{flags}"

    def csrf_token(self, session: Session) -> str:
        """Return the CSRF token of a session: only our own pages, shown in this session, contain it."""
        return self._mac("csrf", session.id)

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}\x1f{text}".encode(), hashlib.sha256).hexdigest()


def read_signing_key(folder: Path) -> bytes:
    """Return the project's signing key. The first call creates the file, readable by its owner only.

    The key survives a restart of the server, so that open pages continue to work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _KEY
    with suppress(FileExistsError):
        temporary = folder / f".{_KEY}.{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)  # atomic, and fails if another process was faster
        finally:
            temporary.unlink()
    return path.read_bytes()


CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"


def issue_csrf_token(request: Request) -> str:
    """Return the CSRF token that a state-changing request must send as `x-csrf-token` or form field `csrf_token`."""
    session = request.state.session
    session.persist()
    return request.app.state.cookies.csrf_token(session)
