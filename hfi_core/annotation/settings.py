"""Settings of the annotation server: the project that it serves, and who may reach it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hfi_core.params import Params

if TYPE_CHECKING:
    from hfi_core.feedback.store import Store


LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Host names that a local server accepts. Other names that resolve to 127.0.0.1 are refused (DNS rebinding)."""


@dataclass(frozen=True)
class Access:
    """Who may reach the server, and under which host names."""

    private: Path
    """Folder of the signing key, the accounts and the server's own database: `.hfi` of the project."""
    accounts: bool = False
    """People sign in with an account. Without accounts a person gives a name once and has every right."""
    secure: bool = False
    """Browsers reach the server by https: through its own TLS or a proxy's."""
    hosts: frozenset[str] = LOOPBACK_HOSTS
    """Host names that a request may use, without port."""

    @classmethod
    def loopback(cls, private: Path) -> "Access":
        """Return the access of local use: this machine only, no accounts."""
        return cls(private)


@dataclass(frozen=True)
class ServerSettings:
    """The project that a server serves, and who may reach it."""

    params: Params
    store: "Store"
    """Open for as long as the application runs; the caller closes it."""
    folder: Path
    """The project's folder; every relative path in `params` starts here."""
    access: Access
    batch: Path | None = None
    """Folder of pictures, as of a concept's candidates, that the server asks about instead; params then have one
    concept. None: it asks about the candidates of every concept."""

    def candidates_of(self, concept: str) -> Path:
        """Return the folder of the pictures that are asked about a concept."""
        return self.folder / "candidates" / concept if self.batch is None else self.folder / self.batch
