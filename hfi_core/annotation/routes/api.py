"""JSON requests of the page's script: get questions, save answers and skips."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from hfi_core.annotation.routes.dependencies import get_workspace, limit_rate, require_consent, require_user
from hfi_core.annotation.routes.timing import rounded_duration
from hfi_core.annotation.security.identity import User
from hfi_core.annotation.security.sessions import issue_csrf_token
from hfi_core.annotation.service.answers import MAX_JUDGEMENTS, AnswerBatch, Skip, save_answers, skip_question
from hfi_core.annotation.service.qualification import check_qualification, exclude_browser_questions
from hfi_core.annotation.service.questions import (
    PictureRef,
    Question,
    choose_next_questions,
    list_question_keys,
    pictures_per_question,
)
from hfi_core.annotation.service.tasks import Task
from hfi_core.feedback.schema import MAX_PICTURES

router = APIRouter(prefix="/api")
_MAX_BROWSER_QUESTIONS = 500
_MAX_REF_LENGTH = 200


class QuestionRequest(BaseModel):
    """The questions that the browser has, by their pictures, and how many more it wants."""

    model_config = ConfigDict(extra="forbid")

    have: Annotated[
        list[Annotated[list[Annotated[PictureRef, Field(max_length=_MAX_REF_LENGTH)]], Field(max_length=MAX_PICTURES)]],
        Field(max_length=_MAX_BROWSER_QUESTIONS),
    ] = []
    count: Annotated[int, Field(ge=1, le=20)]


@router.get("/session")
def read_session(request: Request, user: Annotated[User, Depends(require_user)]) -> dict[str, str]:
    """Return a new CSRF token, the annotator's pseudonym, and the server's time."""
    return {"csrf": issue_csrf_token(request), "annotator": user.pseudonym, "now": datetime.now(UTC).isoformat()}


@router.post("/questions/{name}", dependencies=[Depends(limit_rate)])
def list_questions(
    request: Request, name: str, wanted: QuestionRequest, user: Annotated[User, Depends(require_consent)]
) -> dict[str, Any]:
    """Return the next questions of a task, the status of the qualification, and the progress of the task."""
    workspace, now = get_workspace(request), datetime.now(UTC)
    task = workspace.find_task(name)
    if task is None:
        raise HTTPException(404, "There is no such task.")
    qualification = check_qualification(workspace, task, user.pseudonym, now)
    browser_refs = {ref for refs in wanted.have for ref in refs}
    remaining_today = workspace.exposure.remaining_today(user.pseudonym, now)
    asked: list[Question] = []
    if qualification.state == "closed":
        state = "closed"
    elif remaining_today == 0:
        state = "limit"
    elif qualification.state == "open":
        state, asked = "qualification", exclude_browser_questions(qualification.questions, browser_refs, wanted.count)
    else:
        state = "judging"
        size = pictures_per_question(workspace, task)
        # Do not trust the browser's count alone: it could list the pictures of many questions as one question.
        pending = max(len(wanted.have), len(browser_refs) // (size * len(task.concepts)))
        # Round up, so that people reach a limit that is not a multiple of a ranking's size.
        allowed = min(wanted.count, -(-remaining_today // size) - pending)
        if allowed > 0:
            asked = choose_next_questions(workspace, task, user.pseudonym, wanted.have, allowed, now)
        if not asked and not wanted.have:
            state = "done"
    issued = [key for question in asked for key in list_question_keys(question)]
    workspace.receipts.record_issued(user.pseudonym, issued, now)
    return {
        "state": state,
        "now": datetime.now(UTC).isoformat(),
        "questions": [_format_question(task, question) for question in asked],
        "qualification": {
            "attempt": qualification.attempt, "answered": qualification.answered,
            "of": qualification.question_count, "last": qualification.last_result, "repeats": qualification.repeats,
        },
        "work": asdict(workspace.measure_annotator_progress(task)),
        "left_today": remaining_today,
    }  # fmt: skip


@router.post("/answers", dependencies=[Depends(limit_rate)])
async def save_batch(
    request: Request, batch: AnswerBatch, user: Annotated[User, Depends(require_consent)]
) -> dict[str, Any]:
    """Save answers. The response comes when they are on the disk. Sending an answer again changes nothing."""
    async with rounded_duration():
        workspace = await run_in_threadpool(get_workspace, request)
        new = await run_in_threadpool(save_answers, workspace, user.pseudonym, batch, datetime.now(UTC))
    return {"saved": len(batch.judgements), "new": new}


@router.post("/skips", dependencies=[Depends(limit_rate)])
async def save_skips(
    request: Request,
    skipped: Annotated[list[Skip], Field(max_length=MAX_JUDGEMENTS)],
    user: Annotated[User, Depends(require_consent)],
) -> dict[str, int]:
    """Save skipped questions, which this annotator is not asked again."""
    async with rounded_duration():
        workspace = await run_in_threadpool(get_workspace, request)
        for skip in skipped:
            await run_in_threadpool(skip_question, workspace, user.pseudonym, skip, datetime.now(UTC))
    return {"saved": len(skipped)}


def _format_question(task: Task, question: Question) -> dict[str, Any]:
    """Return a question as JSON for the script. Gold questions look like ordinary ones."""
    first = question.parts[0]
    return {
        "kind": task.kind,
        "refs": question.refs,
        "parts": [
            {"concept": part.concept, "proof": part.proof, "pictures": [candidate.id for candidate in part.pictures],
             "sha256": [candidate.sha256 for candidate in part.pictures]}
            for part in question.parts
        ],
        "pictures": [
            {"id": candidate.id, "prompt": candidate.prompt,
             "src": f"/pictures/{first.concept}/{candidate.id}?v={candidate.sha256[:16]}"}
            for candidate in first.pictures
        ],
    }  # fmt: skip
