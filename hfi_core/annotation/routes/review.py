"""The lead's pages: progress, agreement, how annotators work, and decisions about disagreements."""

import re
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from hfi_core.annotation.routes.dependencies import get_workspace, require_consent, require_lead
from hfi_core.annotation.routes.pages import render_for_user
from hfi_core.annotation.security.identity import User
from hfi_core.annotation.service import adjudication, review_stats
from hfi_core.annotation.service.answers import RejectedAnswer
from hfi_core.annotation.service.qualification import grant_attempt, list_failed_qualifications
from hfi_core.annotation.service.single_flight import SingleFlight
from hfi_core.annotation.service.tasks import Task
from hfi_core.annotation.service.workspace import TaskProgress, Workspace
from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.schema import Answer, Judgement

if TYPE_CHECKING:
    from hfi_core.metrics.intervals import Interval

router = APIRouter(prefix="/review")

_DISPUTES_PER_PAGE = 12
MAX_AGE_SECONDS = 5.0
"""How old the figures may be."""
_KEY_PATTERN = r"^[0-9a-f]{32}$"
_MAX_FIRST = 9_999_999


def require_consenting_lead(
    user: Annotated[User, Depends(require_lead)], _: Annotated[User, Depends(require_consent)]
) -> User:
    """Return a lead who has consented (FastAPI dependency)."""
    return user


Lead = Annotated[User, Depends(require_consenting_lead)]
Text = Annotated[str, Form(max_length=2000)]


@dataclass(frozen=True)
class ConceptView:
    """A concept as the lead sees it."""

    concept: str
    text: str
    kind: str
    progress: TaskProgress
    agreement: "Interval | None"
    disputes: list[review_stats.Dispute]
    paces: list[review_stats.Pace]

    @property
    def undecided(self) -> int:
        """Number of disputes that no lead has decided."""
        return sum(not dispute.is_decided for dispute in self.disputes)


@router.get("")
def show_overview(request: Request, user: Lead) -> Response:
    """Show every concept's progress and agreement, and every annotator's pace and gold answers."""
    workspace = get_workspace(request)
    concepts = workspace.settings.params.concepts
    views = [_get_view(request, concept) for concept in concepts]
    return render_for_user(
        request, user, "review.html", views=views, people=_summarize_people(workspace, views),
        failed_qualifications=list_failed_qualifications(workspace, datetime.now(UTC)),
        task_titles={
            task.name: ", ".join(concepts[concept].text for concept in task.concepts) for task in workspace.tasks
        },
        warn_below=workspace.settings.params.feedback.agreement.warn_below,
    )  # fmt: skip


@router.post("/attempts")
def grant_qualification_attempt(request: Request, user: Lead, task: Text, annotator: Text) -> Response:
    """Let an annotator who failed every qualification try once more."""
    workspace = get_workspace(request)
    named_task = next((candidate for candidate in workspace.tasks if candidate.name == task), None)
    if named_task is None or annotator not in workspace.gold_answers.list_qualification_annotators():
        raise HTTPException(404, "No such annotator has tried a qualification.")
    grant_attempt(workspace, named_task, annotator, datetime.now(UTC))
    return RedirectResponse("/review#closed", 303)


@router.get("/{concept}")
def show_disputes(request: Request, concept: str, user: Lead, first: int = 0) -> Response:
    """Show the disagreements about a concept, with the opinions side by side."""
    return _render_disputes(request, user, concept, first)


@router.post("/{concept}/binary")
def decide_binary(
    request: Request, concept: str, user: Lead, picture: Text, sha256: Text, answer: Annotated[Answer, Form()],
    key: Annotated[str, Form(pattern=_KEY_PATTERN)], first: Annotated[int, Form(ge=0, le=_MAX_FIRST)] = 0,
    note: Text = "",
) -> Response:  # fmt: skip
    """Save the lead's decision about a picture."""
    workspace = get_workspace(request)
    candidate = workspace.candidates.get(concept, {}).get(picture)
    if candidate is None or _kind(workspace, concept) != "binary":
        raise HTTPException(404, "The manifest contains no such picture.")
    _check_digest(candidate, sha256)
    decision = adjudication.build_binary_decision(
        user.pseudonym, concept, key, candidate, answer, note, datetime.now(UTC)
    )
    return _save_decision(request, concept, decision, first)


@router.post("/{concept}/ranking")
async def decide_ranking(request: Request, concept: str, user: Lead) -> Response:
    """Save the lead's order of a set of pictures."""
    from starlette.concurrency import run_in_threadpool

    workspace, form = get_workspace(request), await request.form(max_files=0, max_fields=350)
    pictures = [str(picture) for picture in form.getlist("pictures")]
    candidates = workspace.candidates.get(concept, {})
    are_known = bool(pictures) and all(picture in candidates for picture in pictures)
    if not are_known or _kind(workspace, concept) != "ranking":
        raise HTTPException(404, "The manifest contains no such picture.")
    key, first = str(form.get("key", "")), str(form.get("first", "0"))
    if not re.fullmatch(_KEY_PATTERN, key) or not re.fullmatch(r"[0-9]{1,7}", first):
        raise HTTPException(422, "The form does not have the expected fields.")
    for picture in pictures:
        _check_digest(candidates[picture], str(form.get(f"sha256.{picture}", "")))
    places = {picture: str(form.get(f"place.{picture}", "")) for picture in pictures}
    try:
        decision = adjudication.build_ranking_decision(
            user.pseudonym, concept, key, [candidates[picture] for picture in pictures], places,
            str(form.get("note", ""))[:2000], datetime.now(UTC),
        )  # fmt: skip
    except UserError:
        return await run_in_threadpool(_render_disputes, request, user, concept, int(first), "review.every_place")
    return await run_in_threadpool(_save_decision, request, concept, decision, int(first))


def _check_digest(candidate: Candidate, sha256: str) -> None:
    if candidate.sha256 != sha256:
        raise RejectedAnswer("The picture was drawn anew after it had been shown. Load the page again.", "redrawn")


def _save_decision(request: Request, concept: str, decision: Judgement, first: int) -> Response:
    workspace = get_workspace(request)
    adjudication.save_decision(workspace.settings.store, decision)
    _view_cache(request).invalidate(_view_key(workspace, concept))
    return RedirectResponse(f"/review/{concept}?first={first}", 303)


def _render_disputes(request: Request, user: User, concept: str, first: int, message: str = "") -> Response:
    workspace = get_workspace(request)
    if concept not in workspace.settings.params.concepts:
        raise HTTPException(404, "There is no such concept.")
    view = _get_view(request, concept)
    first = max(0, min(first, len(view.disputes) - 1)) // _DISPUTES_PER_PAGE * _DISPUTES_PER_PAGE
    return render_for_user(
        request, user, "review_concept.html", 422 if message else 200, view=view, first=first, size=_DISPUTES_PER_PAGE,
        page_disputes=view.disputes[first : first + _DISPUTES_PER_PAGE], candidates=workspace.candidates[concept],
        message=message, new_key=lambda: uuid4().hex,
    )  # fmt: skip


def _kind(workspace: Workspace, concept: str) -> Literal["binary", "ranking"]:
    return workspace.settings.params.concepts[concept].feedback


def _view_cache(request: Request) -> SingleFlight[Hashable, ConceptView]:
    return request.app.state.concept_views


def _view_key(workspace: Workspace, concept: str) -> Hashable:
    """Return the key of a cached view. It changes when the candidates change."""
    return concept, tuple(sorted(workspace.stamps.items(), key=repr))


def _get_view(request: Request, concept: str) -> ConceptView:
    workspace = get_workspace(request)
    return _view_cache(request).get(_view_key(workspace, concept), lambda: _compute_view(workspace, concept))


def _compute_view(workspace: Workspace, concept: str) -> ConceptView:
    text, kind = workspace.settings.params.concepts[concept].text, _kind(workspace, concept)
    figures = workspace.update_figures(concept, kind)
    progress = workspace.measure_progress(Task(concept, kind, (concept,)))
    return ConceptView(concept, text, kind, progress, figures.agreement, figures.disputes, figures.paces)


def _summarize_people(
    workspace: Workspace, views: list[ConceptView]
) -> list[tuple[review_stats.Pace, "Interval | None"]]:
    """Return each annotator's pace, and the share of right gold answers with its interval."""
    from hfi_core.feedback.agreement import estimate_share

    right, answered = Counter[str](), Counter[str]()
    for view in views:
        for annotator, accuracy in workspace.gold_answers.measure_accuracy(view.concept).items():
            right[annotator] += accuracy.right
            answered[annotator] += accuracy.answered
    paces = review_stats.merge_paces(pace for view in views for pace in view.paces)
    return [(pace, estimate_share(right[pace.annotator], answered[pace.annotator])) for pace in paces]
