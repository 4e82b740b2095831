"""What the browser sends back: parsed, held against what was asked, and kept before it is acknowledged."""

import json
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hfi_core.annotation.service.qualification import open_attempt
from hfi_core.annotation.service.questions import is_proven
from hfi_core.annotation.service.workspace import Workspace
from hfi_core.candidates.manifest import PictureId
from hfi_core.errors import UserError
from hfi_core.feedback.gold import is_right, question_of
from hfi_core.feedback.schema import MOST_PICTURES, Judgement, is_adjudication, is_current, parse_judgement
from hfi_core.params import Name

MOST_AT_ONCE = 50
PROOF = r"^[0-9a-f]{64}$"
Proof = Annotated[str, StringConstraints(pattern=PROOF)]

_OURS = ("annotator", "simulated")
"""Fields of a judgement that the browser has no say in."""


class RejectedAnswer(UserError):
    """An answer that will not be kept, however often it is sent; `refused.CODE` of the catalogue says why to people."""

    def __init__(self, message: str, code: str = "malformed"):
        super().__init__(message)
        self.code = code


class Answers(BaseModel):
    """Answers to one question, or to several."""

    model_config = ConfigDict(extra="forbid")

    judgements: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_AT_ONCE)]
    """Judgements as in a feedback file, without annotator, each with the question's `proof`."""


class Skip(BaseModel):
    """A question that the annotator will not be asked again."""

    model_config = ConfigDict(extra="forbid")

    concept: Name
    pictures: Annotated[list[PictureId], Field(min_length=1, max_length=MOST_PICTURES)]
    proof: Proof


def save(page: Workspace, annotator: str, answers: Answers, now: datetime) -> int:
    """Keep every judgement; how many of them are new. What was kept before an error stays, and may be sent again.

    Raises Refused or Conflict, both UserErrors, for what will never be kept.
    """
    judgements = [_parse(page, annotator, row) for row in answers.judgements]
    new = 0
    for judgement in judgements:
        concept, pictures = judgement.concept, judgement.pictures
        known = page.gold[concept].get(question_of(pictures))
        if known is None:
            new += page.settings.store.add(judgement)
        else:
            attempt = open_attempt(page, concept, annotator, now)
            new += page.book.add(judgement, is_right(known, judgement), attempt)
        page.exposure.count(annotator, _digests(page, concept, pictures), now)
    return new


def skip(page: Workspace, annotator: str, skipped: Skip, now: datetime) -> None:
    """Give the pictures back and never ask this annotator about them again."""
    concept, pictures = skipped.concept, tuple(skipped.pictures)
    _check_asked(page, annotator, concept, pictures, skipped.proof)
    question = question_of(pictures)
    if question in page.gold[concept]:
        page.book.skip(annotator, concept, question, open_attempt(page, concept, annotator, now))
    else:
        for picture in pictures:
            page.settings.store.release(concept, annotator, picture)
    page.exposure.count(annotator, _digests(page, concept, pictures), now)


def _parse(page: Workspace, annotator: str, row: dict[str, Any]) -> Judgement:
    row = dict(row)
    proof = row.pop("proof", None)
    for field in _OURS:
        if field in row:
            raise RejectedAnswer(f"{field} is not for the browser to say.")
    try:
        judgement = parse_judgement(json.dumps(row | {"annotator": annotator}))
    except (ValidationError, UnicodeError, ValueError) as error:
        first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else {}
        where = ".".join(map(str, first.get("loc", ())))
        raise RejectedAnswer(f"This is no judgement: {where}: {first.get('msg', error)}") from error
    if judgement.note is not None:
        judgement = judgement.model_copy(update={"note": _printable(judgement.note)})
    if is_adjudication(judgement):
        raise RejectedAnswer("Only a lead's decision has such an id.")
    pictures = judgement.pictures
    _check_asked(page, annotator, judgement.concept, pictures, proof)
    params = page.settings.params
    if judgement.kind != params.concepts[judgement.concept].feedback:
        raise RejectedAnswer(f"{judgement.concept} is not asked about by a {judgement.kind} question.")
    if any(digest is None for digest in judgement.seen.values()):
        raise RejectedAnswer("The ranking does not say by `digests` which pictures were shown.")
    if not is_current(judgement, page.candidates[judgement.concept]):
        raise RejectedAnswer("The picture has been redrawn since it was shown.", "redrawn")
    return judgement


def _check_asked(page: Workspace, annotator: str, concept: str, pictures: tuple[str, ...], proof: Any) -> None:
    known = page.candidates.get(concept, {})
    proven = isinstance(proof, str) and re.fullmatch(PROOF, proof)
    if not proven or not is_proven(page.proof_key, annotator, concept, pictures, proof):
        raise RejectedAnswer("This question was not asked.", "not_asked")
    if not all(picture in known for picture in pictures):
        raise RejectedAnswer("The manifest does not hold this picture any more.", "gone")


def _printable(note: str) -> str | None:
    """The note without control characters, which a database or a terminal may take amiss; None if nothing is left."""
    text = "".join(letter for letter in note if letter in "\n\t" or letter.isprintable()).strip()
    return text or None


def _digests(page: Workspace, concept: str, pictures: tuple[str, ...]) -> list[str]:
    return [page.candidates[concept][picture].sha256 for picture in pictures]
