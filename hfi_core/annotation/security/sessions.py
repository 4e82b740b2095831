"""The session of one browser: a random id (and, at this machine, a name) in a cookie that only we can sign."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from itsdangerous import BadData, URLSafeTimedSerializer

LIFE_SECONDS = 12 * 60 * 60
"""A session ends after a working day, whatever happens in it."""
LOCAL_LIFE_SECONDS = 90 * 24 * 60 * 60
"""At one's own machine the cookie holds nothing but the name that one gave."""

_KEY = "session.key"
_KEY_BYTES = 32


@dataclass
class Session:
    """What the cookie says; `changed` makes the answer set it anew."""

    id: str
    name: str | None = None
    known: bool = False
    """The browser has sent it."""
    changed: bool = False

    @classmethod
    def fresh(cls) -> "Session":
        """A session that nobody has used; it becomes a cookie once something is kept in it."""
        return cls(secrets.token_urlsafe(32))

    def rotate(self, name: str | None = None) -> None:
        """Take a new id, so that one planted or seen before is worth nothing, and keep the name given."""
        self.id, self.name, self.changed = secrets.token_urlsafe(32), name, True

    def keep(self) -> None:
        """Make sure that the browser has this session."""
        self.changed = self.changed or not self.known


class SessionCookies:
    """Signs and reads sessions with the project's key; each project's cookie has a name of its own.

    Browsers do not tell ports apart: two projects at one machine would otherwise overwrite each other's.
    """

    def __init__(self, key: bytes, *, secure: bool, life: int):
        self._key, self._secure, self._life = key, secure, life
        # `__Host-` binds the cookie to this host, this path and TLS: no neighbouring host can plant one.
        self.name = f"{'__Host-' if secure else ''}hfi-{self._mac('cookie', '')[:8]}"
        self._signer = URLSafeTimedSerializer(key, salt="hfi-session", signer_kwargs={"digest_method": hashlib.sha256})

    def read(self, value: str | None) -> Session:
        """The session in a cookie; a fresh one if it is missing, forged or over."""
        if value:
            with suppress(BadData, TypeError, ValueError):
                identity, name = self._signer.loads(value, max_age=self._life)
                return Session(str(identity), None if name is None else str(name), known=True)
        return Session.fresh()

    def header(self, session: Session) -> str:
        """The value of Set-Cookie."""
        value = self._signer.dumps([session.id, session.name])
        flags = "; Secure" if self._secure else ""
        return f"{self.name}={value}; Path=/; Max-Age={self._life}; HttpOnly; SameSite=Lax{flags}"

    def csrf(self, session: Session) -> str:
        """The token that only a page of ours, shown in this session, can know."""
        return self._mac("csrf", session.id)

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}\x1f{text}".encode(), hashlib.sha256).hexdigest()


def private_key(folder: Path) -> bytes:
    """The project's signing key; made at the first use, readable by its owner only.

    It outlives the server, so that a page that was open goes on after a restart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _KEY
    with suppress(FileExistsError):
        beside = folder / f".{_KEY}.{secrets.token_hex(4)}"
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
            os.fsync(stream.fileno())
        try:
            os.link(beside, path)  # whole, and only if nobody was first
        finally:
            beside.unlink()
    return path.read_bytes()


CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"


def csrf_token(request: Request) -> str:
    """The token that a state-changing request gives back in `x-csrf-token` or in the form field `csrf_token`."""
    session = request.state.session
    session.keep()
    return request.app.state.cookies.csrf(session)
