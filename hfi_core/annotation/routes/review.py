"""The lead's pages: how far the work is, how people work and agree, and what the lead decides."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from hfi_core.annotation.routes.dependencies import consenting_user, lead_only, workspace_of
from hfi_core.annotation.routes.pages import show
from hfi_core.annotation.security.identity import User
from hfi_core.annotation.service import adjudication, review_stats
from hfi_core.annotation.service.answers import RejectedAnswer
from hfi_core.annotation.service.qualification import allow_another, closed
from hfi_core.annotation.service.single_flight import SingleFlight
from hfi_core.annotation.service.tasks import Task
from hfi_core.annotation.service.workspace import TaskProgress, Workspace
from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.schema import Answer, is_current

if TYPE_CHECKING:
    from hfi_core.metrics.intervals import Interval

router = APIRouter(prefix="/review")

_A_PAGE = 12
"""Disagreements shown at once."""
FRESH_SECONDS = 5.0
"""How old what is shown may be; reading a hundred thousand judgements takes longer than a page should."""
_KEY = r"^[0-9a-f]{32}$"
_MOST = 9_999_999


def consenting_lead(user: Annotated[User, Depends(lead_only)], _: Annotated[User, Depends(consenting_user)]) -> User:
    """FastAPI dependency: a lead who has agreed to see pictures."""
    return user


Lead = Annotated[User, Depends(consenting_lead)]
Text = Annotated[str, Form(max_length=2000)]


@dataclass(frozen=True)
class View:
    """A concept as the lead sees it."""

    concept: str
    text: str
    kind: str
    work: TaskProgress
    agreement: "Interval | None"
    disputes: list[review_stats.Dispute]
    paces: list[review_stats.Pace]

    @property
    def open(self) -> int:
        """Disagreements that nobody has settled."""
        return sum(not dispute.settled for dispute in self.disputes)


@router.get("")
def overview(request: Request, user: Lead) -> Response:
    """Every concept's progress and agreement, and every annotator's pace and gold answers."""
    page = workspace_of(request)
    views = [_view(request, concept) for concept in page.settings.params.concepts]
    return _shown(
        request, user, "review.html", views=views, people=_people(page, views), closed=closed(page, datetime.now(UTC)),
        texts={task.name: _title(page, task) for task in page.tasks},
        warn_below=page.settings.params.feedback.agreement.warn_below,
    )  # fmt: skip


@router.post("/attempts")
def another_attempt(request: Request, user: Lead, task: Text, annotator: Text) -> Response:
    """Let an annotator who failed every qualification try once more."""
    page = workspace_of(request)
    found = next((one for one in page.tasks if one.name == task), None)
    if found is None or annotator not in page.book.candidates():
        raise HTTPException(404, "Nobody like that has tried a qualification.")
    allow_another(page, found, annotator, datetime.now(UTC))
    return RedirectResponse("/review#closed", 303)


@router.get("/{concept}")
def concept_disputes(request: Request, concept: str, user: Lead, first: int = 0) -> Response:
    """Disagreements of a concept, the opinions side by side."""
    return _disputes(request, user, concept, first, "")


@router.post("/{concept}/binary")
def decide(
    request: Request, concept: str, user: Lead, picture: Text, sha256: Text, answer: Annotated[Answer, Form()],
    key: Annotated[str, Form(pattern=_KEY)], first: Annotated[int, Form(ge=0, le=_MOST)] = 0, note: Text = "",
) -> Response:  # fmt: skip
    """Keep the lead's decision about a picture."""
    page = workspace_of(request)
    candidate = page.candidates.get(concept, {}).get(picture)
    if candidate is None or _kind(page, concept) != "binary":
        raise HTTPException(404, "The manifest holds no such picture.")
    _check_seen(candidate, sha256)
    decided = adjudication.binary(user.pseudonym, concept, key, candidate, answer, note, datetime.now(UTC))
    return _kept(request, concept, decided, first)


@router.post("/{concept}/ranking")
async def order(request: Request, concept: str, user: Lead) -> Response:
    """Keep the lead's order of a set of pictures."""
    from starlette.concurrency import run_in_threadpool

    page, form = workspace_of(request), await request.form(max_files=0, max_fields=350)
    pictures = [str(picture) for picture in form.getlist("pictures")]
    known = page.candidates.get(concept, {})
    if not pictures or any(picture not in known for picture in pictures) or _kind(page, concept) != "ranking":
        raise HTTPException(404, "The manifest holds no such picture.")
    key, first = str(form.get("key", "")), str(form.get("first", "0"))
    if not re.fullmatch(_KEY, key) or not re.fullmatch(r"[0-9]{1,7}", first):
        raise HTTPException(422, "The form is not of the expected kind.")
    for picture in pictures:
        _check_seen(known[picture], str(form.get(f"sha256.{picture}", "")))
    places = {picture: str(form.get(f"place.{picture}", "")) for picture in pictures}
    try:
        decided = adjudication.ranking(
            user.pseudonym, concept, key, [known[picture] for picture in pictures], places,
            str(form.get("note", ""))[:2000], datetime.now(UTC),
        )  # fmt: skip
    except UserError:
        return await run_in_threadpool(_disputes, request, user, concept, int(first), "review.every_place")
    return await run_in_threadpool(_kept, request, concept, decided, int(first))


def _check_seen(candidate: Candidate, sha256: str) -> None:
    if candidate.sha256 != sha256:
        raise RejectedAnswer("The picture has been redrawn since it was shown. Load the page again.", "redrawn")


def _kept(request: Request, concept: str, decided, first: int) -> Response:
    adjudication.adjudicate(workspace_of(request).settings.store, decided)
    _views(request).drop(_key(workspace_of(request), concept))
    return RedirectResponse(f"/review/{concept}?first={first}", 303)


def _disputes(request: Request, user: User, concept: str, first: int, message: str) -> Response:
    page = workspace_of(request)
    if concept not in page.settings.params.concepts:
        raise HTTPException(404, "There is no such concept.")
    view = _view(request, concept)
    first = max(0, min(first, len(view.disputes) - 1)) // _A_PAGE * _A_PAGE
    return _shown(
        request, user, "review_concept.html", 422 if message else 200, view=view, first=first, size=_A_PAGE,
        shown=view.disputes[first : first + _A_PAGE], candidates=page.candidates[concept], message=message,
        new_key=lambda: uuid4().hex,
    )  # fmt: skip


def _shown(request: Request, user: User, template: str, status: int = 200, **known: Any) -> Response:
    response = show(request, user, template, **known)
    response.status_code = status
    return response


def _kind(page: Workspace, concept: str) -> str:
    return page.settings.params.concepts[concept].feedback


def _title(page: Workspace, task: Task) -> str:
    return ", ".join(page.settings.params.concepts[concept].text for concept in task.concepts)


def _views(request: Request) -> SingleFlight[Hashable, View]:
    return request.app.state.review


def _key(page: Workspace, concept: str) -> Hashable:
    """A view is of a concept and of the candidates that there were."""
    return concept, tuple(sorted(page.stamps.items(), key=repr))


def _view(request: Request, concept: str) -> View:
    page = workspace_of(request)
    return _views(request).get(_key(page, concept), lambda: _look(page, concept))


def _look(page: Workspace, concept: str) -> View:
    choice, kind = page.settings.params.concepts[concept], _kind(page, concept)
    judgements = review_stats.as_said(
        one
        for one in page.settings.store.judgements(concept)
        if one.kind == kind and is_current(one, page.candidates[concept])
    )
    return View(
        concept, choice.text, kind, page.work(Task(concept, kind, (concept,))),
        review_stats.agreement(judgements, kind), review_stats.disputes(judgements), review_stats.paces(judgements),
    )  # fmt: skip


def _people(page: Workspace, views: list[View]) -> list[tuple[review_stats.Pace, "Interval | None"]]:
    """Each annotator's pace, and the share of gold questions answered rightly with its interval."""
    from hfi_core.feedback.agreement import wilson

    right: dict[str, list[int]] = {}
    for view in views:
        for annotator, found in page.book.accuracy(view.concept).items():
            counts = right.setdefault(annotator, [0, 0])
            counts[0] += found.right
            counts[1] += found.asked
    rows = review_stats.together(pace for view in views for pace in view.paces)
    return [(row, wilson(*right.get(row.annotator, (0, 0)))) for row in rows]
