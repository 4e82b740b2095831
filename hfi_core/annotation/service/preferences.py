"""What an annotator has agreed to and how the annotator wants to see pictures."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from hfi_core.annotation.content.i18n import ENGLISH, read_words
from hfi_core.annotation.service.state import ServerState


class Preferences(BaseModel):
    """Kept for each annotator; the defaults are the gentle ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    blur: bool = True
    grey: bool = True
    keys: bool = True
    """Single keys answer (WCAG 2.1.4 asks that they can be turned off)."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] | None = None
    """None: as the browser asks."""


def preferences_of(state: ServerState, annotator: str) -> Preferences:
    """The annotator's own, or the defaults."""
    rows = state.rows("SELECT preferences FROM annotator WHERE pseudonym = ?", annotator)
    return Preferences.model_validate_json(rows[0][0]) if rows else Preferences()


def keep_preferences(state: ServerState, annotator: str, preferences: Preferences) -> None:
    """Replace the annotator's preferences."""
    with state.writing() as database:
        database.execute(
            """INSERT INTO annotator (pseudonym, preferences) VALUES (?, ?)
            ON CONFLICT (pseudonym) DO UPDATE SET preferences = excluded.preferences""",
            (annotator, preferences.model_dump_json()),
        )


def has_consented(state: ServerState, annotator: str, consent: str) -> bool:
    """Whether the annotator agreed to the text of that digest; a changed text asks again."""
    return state.rows("SELECT consent FROM annotator WHERE pseudonym = ?", annotator) == [(consent,)]


def keep_consent(state: ServerState, annotator: str, consent: str, now: datetime) -> None:
    """Note when the annotator agreed, and to which text."""
    with state.writing() as database:
        database.execute(
            """INSERT INTO annotator (pseudonym, consent, consented_at) VALUES (?, ?, ?)
            ON CONFLICT (pseudonym) DO UPDATE SET consent = excluded.consent, consented_at = excluded.consented_at""",
            (annotator, consent, now.isoformat()),
        )


def consent_digest() -> str:
    """Digest of the English text: whoever agreed to another one is asked again."""
    words = {key: text for key, text in read_words(ENGLISH).items() if key.startswith("consent.")}
    return hashlib.sha256(repr(sorted(words.items())).encode()).hexdigest()


def agree(state: ServerState, pseudonym: str) -> None:
    """Record that an annotator agreed to the present text."""
    keep_consent(state, pseudonym, consent_digest(), datetime.now(UTC))
