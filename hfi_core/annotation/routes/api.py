"""What the page's script asks for: questions, and that answers, skips and preferences be kept."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from hfi_core.annotation.routes.dependencies import consenting_user, current_user, rate_limited, workspace_of
from hfi_core.annotation.security.identity import User
from hfi_core.annotation.security.sessions import csrf_token
from hfi_core.annotation.service.answers import Answers, Skip, save, skip
from hfi_core.annotation.service.preferences import Preferences, agree, keep_preferences
from hfi_core.annotation.service.qualification import standing, without
from hfi_core.annotation.service.questions import Question, Ref, next_questions, pictures_at_once
from hfi_core.annotation.service.tasks import Task
from hfi_core.feedback.schema import MOST_PICTURES

router = APIRouter(prefix="/api")
_MOST_HELD = 500
_LONGEST_REF = 200


class Wanted(BaseModel):
    """Which questions the browser has, by their pictures, and how many more it wants."""

    model_config = ConfigDict(extra="forbid")

    have: Annotated[
        list[Annotated[list[Annotated[Ref, Field(max_length=_LONGEST_REF)]], Field(max_length=MOST_PICTURES)]],
        Field(max_length=_MOST_HELD),
    ] = []
    count: Annotated[int, Field(ge=1, le=20)]


@router.get("/session")
def session(request: Request, user: Annotated[User, Depends(current_user)]) -> dict[str, str]:
    """A fresh token, for a page that outlived the server's session, and the server's clock."""
    return {"csrf": csrf_token(request), "annotator": user.pseudonym, "now": datetime.now(UTC).isoformat()}


@router.post("/consent")
def consent(request: Request, user: Annotated[User, Depends(current_user)]) -> dict[str, bool]:
    """The annotator agrees to the text of the first page."""
    agree(workspace_of(request).state, user.pseudonym)
    return {"saved": True}


@router.post("/preferences")
def preferences(
    request: Request, chosen: dict[str, Any], user: Annotated[User, Depends(current_user)]
) -> dict[str, bool]:
    """Replace the annotator's preferences."""
    keep_preferences(workspace_of(request).state, user.pseudonym, _preferences(chosen))
    return {"saved": True}


@router.post("/questions/{name}", dependencies=[Depends(rate_limited)])
def questions(
    request: Request, name: str, wanted: Wanted, user: Annotated[User, Depends(consenting_user)]
) -> dict[str, Any]:
    """The next questions of a task, where the annotator stands, and how far the task is."""
    page, now = workspace_of(request), datetime.now(UTC)
    task = page.task(name)
    if task is None:
        raise HTTPException(404, "There is no such task.")
    where = standing(page, task, user.pseudonym, now)
    held = {ref for refs in wanted.have for ref in refs}
    left = page.exposure.left(user.pseudonym, now)
    asked: list[Question] = []
    if where.state == "closed":
        state = "closed"
    elif left == 0:
        state = "limit"
    elif where.state == "open":
        state, asked = "qualification", without(where.questions, held, wanted.count)
    else:
        state = "judging"
        size = pictures_at_once(page, task)
        # Not by the browser's count alone, which may put the pictures of many questions into one.
        having = max(len(wanted.have), len(held) // (size * len(task.concepts)))
        # At least one while anything is left, so that a limit that is no multiple of a ranking's size is reached.
        allowed = min(wanted.count, -(-left // size) - having)
        if allowed > 0:
            asked = next_questions(page, task, user.pseudonym, wanted.have, allowed, now)
        if not asked and not wanted.have:
            state = "done"
    return {
        "state": state,
        "questions": [_shown(task, question) for question in asked],
        "qualification": {
            "attempt": where.attempt, "answered": where.answered, "of": where.of, "last": where.last,
        },
        "work": asdict(page.work(task)),
        "left_today": left,
    }  # fmt: skip


@router.post("/answers", dependencies=[Depends(rate_limited)])
def answers(request: Request, given: Answers, user: Annotated[User, Depends(consenting_user)]) -> dict[str, Any]:
    """Keep answers; acknowledged once they are on the disk. Sent again, the same answer changes nothing."""
    new = save(workspace_of(request), user.pseudonym, given, datetime.now(UTC))
    return {"saved": len(given.judgements), "new": new}


@router.post("/skips", dependencies=[Depends(rate_limited)])
def skips(request: Request, skipped: list[Skip], user: Annotated[User, Depends(consenting_user)]) -> dict[str, int]:
    """Give a question back: this annotator is not asked it again."""
    for one in skipped:
        skip(workspace_of(request), user.pseudonym, one, datetime.now(UTC))
    return {"saved": len(skipped)}


def _preferences(chosen: dict[str, Any]) -> Preferences:
    try:
        return Preferences.model_validate_json(json.dumps(chosen))
    except ValueError as error:
        raise HTTPException(422, "There is no such preference.") from error


def _shown(task: Task, question: Question) -> dict[str, Any]:
    """A question as the script knows it; nothing in it tells a gold question apart."""
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
