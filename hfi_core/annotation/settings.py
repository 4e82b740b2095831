"""What the annotation page is told when it starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request

from hfi_core.params import Params

if TYPE_CHECKING:
    from hfi_core.annotation.security.middleware import Access
    from hfi_core.feedback.store import Store


@dataclass(frozen=True)
class Settings:
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


def settings_of(request: Request) -> Settings:
    """The settings of the application that a request reached."""
    return request.app.state.settings
