"""The first page: what is asked of an annotator, what may be seen, and that one agrees to it."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from hfi_core.annotation.content.i18n import ENGLISH, read_words
from hfi_core.annotation.security.identity import User, current_user
from hfi_core.annotation.service.preferences import has_consented, keep_consent
from hfi_core.annotation.service.workspace import Page, page_of


class Unread(HTTPException):
    """Somebody who has not agreed to the first page."""

    code = "consent"

    def __init__(self):
        super().__init__(403, "Read the first page and agree to it.")


def consent_text() -> str:
    """Digest of the English text: whoever agreed to another one is asked again."""
    words = {key: text for key, text in read_words(ENGLISH).items() if key.startswith("consent.")}
    return hashlib.sha256(repr(sorted(words.items())).encode()).hexdigest()


def agree(page: Page, user: User) -> None:
    """Note that a person agreed."""
    keep_consent(page.state, user.pseudonym, consent_text(), datetime.now(UTC))


def consenting_user(request: Request, user: Annotated[User, Depends(current_user)]) -> User:
    """FastAPI dependency: the person, once they have agreed; else the way to the first page."""
    if has_consented(page_of(request).state, user.pseudonym, consent_text()):
        return user
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        raise HTTPException(303, "Read the first page.", headers={"Location": "/welcome"})
    raise Unread
