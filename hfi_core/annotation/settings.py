"""What the annotation page is told when it starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hfi_core.params import Params

if TYPE_CHECKING:
    from hfi_core.feedback.store import Store


LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names of one's own machine: a page elsewhere that resolves its own name to 127.0.0.1 is refused by them."""


@dataclass(frozen=True)
class Access:
    """Who may come in, and by which names."""

    private: Path
    """Folder of the signing key and the accounts: `.hfi` of the project."""
    accounts: bool = False
    """People sign in; without, whoever sits at this machine gives a name once and may do everything."""
    secure: bool = False
    """Browsers reach us by https: TLS of our own, or a proxy's."""
    hosts: frozenset[str] = LOOPBACK
    """Names that a request may call us by, without port."""

    @classmethod
    def loopback(cls, private: Path) -> "Access":
        """Local use: no account, this machine only."""
        return cls(private)


@dataclass(frozen=True)
class ServerSettings:
    """One project's page: its params, its open store, its folder, and who may come in."""

    params: Params
    store: "Store"
    """Open for as long as the application runs; whoever made the settings closes it."""
    folder: Path
    """The project's folder; every relative path in `params` starts here."""
    access: "Access"
    """Given to `protection.protect`, which decides who may come in and how."""

    @property
    def private(self) -> Path:
        """State that is nobody's business but the page's: accounts, consent, skipped questions."""
        return self.folder / ".hfi"
