"""Store each annotator's consent and display preferences."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from hfi_core.annotation.content.i18n import ENGLISH, read_catalogue
from hfi_core.annotation.service.state import ServerState


class Preferences(BaseModel):
    """Display preferences of one annotator. By default pictures are covered."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    blur: bool = True
    grey: bool = True
    keys: bool = True
    """Single keys answer questions. WCAG 2.1.4 requires that people can turn this off."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] | None = None
    """None: the language that the browser asks for."""


def read_preferences(state: ServerState, annotator: str) -> Preferences:
    """Return the annotator's preferences, or the defaults."""
    rows = state.query("SELECT preferences FROM annotator WHERE pseudonym = ?", annotator)
    return Preferences.model_validate_json(rows[0][0]) if rows else Preferences()


def save_preferences(state: ServerState, annotator: str, preferences: Preferences) -> None:
    """Replace the annotator's preferences."""
    with state.transaction() as database:
        database.execute(
            """INSERT INTO annotator (pseudonym, preferences) VALUES (?, ?)
            ON CONFLICT (pseudonym) DO UPDATE SET preferences = excluded.preferences""",
            (annotator, preferences.model_dump_json()),
        )


def has_consented(state: ServerState, annotator: str) -> bool:
    """Return whether the annotator agreed to the present text of consent."""
    return state.query("SELECT consent FROM annotator WHERE pseudonym = ?", annotator) == [(_consent_digest(),)]


def record_consent(state: ServerState, annotator: str) -> None:
    """Record that the annotator agreed to the present text of consent, and when."""
    with state.transaction() as database:
        database.execute(
            """INSERT INTO annotator (pseudonym, consent, consented_at) VALUES (?, ?, ?)
            ON CONFLICT (pseudonym) DO UPDATE SET consent = excluded.consent, consented_at = excluded.consented_at""",
            (annotator, _consent_digest(), datetime.now(UTC).isoformat()),
        )


def _consent_digest() -> str:
    """Return the digest of the English text. People who agreed to another text are asked again."""
    texts = {key: text for key, text in read_catalogue(ENGLISH).items() if key.startswith("consent.")}
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()
