"""Check the answers that a browser sends, and store them before the server acknowledges them."""

import json
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hfi_core.annotation.service.gold_answers import AttemptClosed, make_conflict
from hfi_core.annotation.service.qualification import find_open_attempt
from hfi_core.annotation.service.questions import verify_proof
from hfi_core.annotation.service.workspace import Workspace
from hfi_core.candidates.manifest import PictureId
from hfi_core.errors import UserError, first_mistake
from hfi_core.feedback.gold import is_correct, make_question_key
from hfi_core.feedback.schema import MAX_PICTURES, Judgement, is_adjudication, is_current, parse_judgement
from hfi_core.io.printable_text import remove_unprintable
from hfi_core.params import Name

MAX_JUDGEMENTS = 50
PROOF_PATTERN = r"^[0-9a-f]{64}$"
Proof = Annotated[str, StringConstraints(pattern=PROOF_PATTERN)]

_SERVER_FIELDS = ("annotator", "simulated")
"""Fields of a judgement that the browser must not set."""


class RejectedAnswer(UserError):
    """An answer that the server will never store. The translation `refused.CODE` tells people why."""

    def __init__(self, message: str, code: str = "malformed"):
        super().__init__(message)
        self.code = code


class AnswerBatch(BaseModel):
    """Answers to one or more questions."""

    model_config = ConfigDict(extra="forbid")

    judgements: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_JUDGEMENTS)]
    """Judgements as in a feedback file, without `annotator`, each with the `proof` of its question."""


class Skip(BaseModel):
    """A question that the annotator skips. It is not asked again."""

    model_config = ConfigDict(extra="forbid")

    concept: Name
    pictures: Annotated[list[PictureId], Field(min_length=1, max_length=MAX_PICTURES)]
    proof: Proof


def save_answers(workspace: Workspace, annotator: str, answers: AnswerBatch, now: datetime) -> int:
    """Store every judgement, and return how many of them are new.

    Judgements that were stored before an error stay, and may be sent again.

    Raises RejectedAnswer or Conflict, both UserErrors, for a judgement that can never be stored.
    """
    judgements = [_parse(workspace, annotator, row) for row in answers.judgements]
    new = 0
    for judgement in judgements:
        judgement = workspace.receipts.receive(judgement, now)
        concept, pictures = judgement.concept, judgement.pictures
        question = make_question_key(pictures)
        gold_answer = workspace.gold[concept].get(question)
        # An id belongs to one answer, whether it is in the feedback store or among the answers to gold questions.
        if gold_answer is None:
            if workspace.gold_answers.has(judgement.id):
                raise make_conflict(judgement.id, "another answer has the same id")
            new += workspace.settings.store.add(judgement)
        else:
            if workspace.settings.store.get(judgement.id) is not None:
                raise make_conflict(judgement.id, "another answer has the same id")
            new += _save_gold_answer(workspace, judgement, question, is_correct(gold_answer, judgement), now)
        workspace.exposure.record(annotator, _digests(workspace, concept, pictures), now)
    return new


def skip_question(workspace: Workspace, annotator: str, skipped: Skip, now: datetime) -> None:
    """Release the pictures, and do not ask this annotator about them again."""
    concept, pictures = skipped.concept, tuple(skipped.pictures)
    _check_asked(workspace, annotator, concept, pictures, skipped.proof)
    question = make_question_key(pictures)
    if question in workspace.gold[concept]:
        with workspace.state.transaction():  # the attempt cannot end between the check and the insertion
            attempt = find_open_attempt(workspace, concept, question, annotator, now)
            workspace.gold_answers.record_skip(annotator, concept, question, attempt)
    else:
        for picture in pictures:
            workspace.settings.store.skip(concept, annotator, picture)
    workspace.exposure.record(annotator, _digests(workspace, concept, pictures), now)


def _save_gold_answer(workspace: Workspace, judgement: Judgement, question: str, right: bool, now: datetime) -> bool:
    def find_attempt() -> int:
        return find_open_attempt(workspace, judgement.concept, question, judgement.annotator, now)

    try:
        return workspace.gold_answers.add(judgement, right, find_attempt)
    except AttemptClosed as error:
        raise RejectedAnswer(str(error), "attempt_closed") from error


def _parse(workspace: Workspace, annotator: str, row: dict[str, Any]) -> Judgement:
    row = dict(row)
    proof = row.pop("proof", None)
    for field in _SERVER_FIELDS:
        if field in row:
            raise RejectedAnswer(f"The field {field!r} is set by the server; the browser must not send it.")
    try:
        judgement = parse_judgement(json.dumps(row | {"annotator": annotator}))
    except (ValidationError, UnicodeError, ValueError) as error:
        reason = first_mistake(error) if isinstance(error, ValidationError) else str(error)
        raise RejectedAnswer(f"This is not a valid judgement: {reason}") from error
    if judgement.note is not None:
        judgement = judgement.model_copy(update={"note": remove_unprintable(judgement.note)})
    if is_adjudication(judgement):
        raise RejectedAnswer(f"The id {judgement.id!r} is reserved for decisions of a lead.")
    pictures = judgement.pictures
    _check_asked(workspace, annotator, judgement.concept, pictures, proof)
    params = workspace.settings.params
    if judgement.kind != params.concepts[judgement.concept].feedback:
        raise RejectedAnswer(f"{judgement.concept} has no {judgement.kind} questions.")
    if any(digest is None for digest in judgement.picture_digests.values()):
        raise RejectedAnswer("The field `digests` of the ranking does not name every picture.")
    if not is_current(judgement, workspace.candidates[judgement.concept]):
        raise RejectedAnswer("The picture was drawn anew after it had been shown.", "redrawn")
    return judgement


def _check_asked(workspace: Workspace, annotator: str, concept: str, pictures: tuple[str, ...], proof: Any) -> None:
    candidates = workspace.candidates.get(concept, {})
    well_formed = isinstance(proof, str) and re.fullmatch(PROOF_PATTERN, proof)
    if not well_formed or not verify_proof(workspace.proof_key, annotator, concept, pictures, proof):
        raise RejectedAnswer("This question was not asked.", "not_asked")
    if not all(picture in candidates for picture in pictures):
        raise RejectedAnswer("The manifest no longer contains this picture.", "gone")


def _digests(workspace: Workspace, concept: str, pictures: tuple[str, ...]) -> list[str]:
    return [workspace.candidates[concept][picture].sha256 for picture in pictures]
