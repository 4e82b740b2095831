"""The annotator's pages, and the pictures on them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from hfi_core.annotation.content.guidelines import MEDIA_TYPES, list_reference_pictures, read_guidelines
from hfi_core.annotation.content.i18n import choose_translations, list_languages
from hfi_core.annotation.content.images import read_candidate_picture, read_checked_picture
from hfi_core.annotation.routes.dependencies import get_workspace, require_consent, require_user
from hfi_core.annotation.routes.rendering import render_page
from hfi_core.annotation.security.identity import User
from hfi_core.annotation.service.preferences import (
    Preferences,
    read_preferences,
    record_consent,
    save_preferences,
)
from hfi_core.errors import UserError

router = APIRouter()
shortcuts = APIRouter()
"""Short addresses that people type. `create_app` adds them last, so that they hide no other page."""
_NOT_STORED = {"Cache-Control": "private, no-store"}
"""Cache headers of a picture: nobody who uses the browser later may find it on the disk."""

Consenting = Annotated[User, Depends(require_consent)]
Switch = Annotated[bool, Form()]


@router.get("/")
def show_home(request: Request, user: Consenting) -> Response:
    """Show the tasks and their progress."""
    workspace = get_workspace(request)
    tasks = [
        {
            "task": task,
            "progress": workspace.measure_annotator_progress(task),
            "texts": _concept_texts(request, task.concepts),
        }
        for task in workspace.tasks
    ]
    return render_for_user(request, user, "home.html", tasks=tasks)


@router.get("/welcome")
def show_consent(request: Request, user: Annotated[User, Depends(require_user)]) -> Response:
    """Show the consent page: the work, what pictures may show, and how to stop."""
    return render_for_user(request, user, "welcome.html")


@router.post("/welcome")
def save_consent(
    request: Request, user: Annotated[User, Depends(require_user)], agree: Annotated[Literal["on"], Form()]
) -> Response:
    """Record that the annotator agrees to the text of the consent page."""
    record_consent(get_workspace(request).state, user.pseudonym)
    return RedirectResponse("/", 303)


@router.get("/preferences")
def show_preferences(request: Request, user: Consenting, saved: str = "") -> Response:
    """Show the form of the annotator's preferences."""
    accounts = request.app.state.access.accounts
    return render_for_user(request, user, "preferences.html", accounts=accounts, saved=bool(saved))


@router.post("/preferences")
def replace_preferences(
    request: Request,
    user: Consenting,
    blur: Switch = False,
    grey: Switch = False,
    keys: Switch = False,
    language: Annotated[str, Form()] = "",
) -> Response:
    """Replace the annotator's preferences. A browser leaves out switches that are off."""
    try:
        chosen = Preferences(blur=blur, grey=grey, keys=keys, language=language or None)
    except ValueError as error:
        raise HTTPException(422, "There is no such preference.") from error
    save_preferences(get_workspace(request).state, user.pseudonym, chosen)
    return RedirectResponse("/preferences?saved=1", 303)


@router.get("/judge/{name}")
def show_task(request: Request, name: str, user: Consenting) -> Response:
    """Show the page on which people judge pictures."""
    workspace = get_workspace(request)
    task = workspace.find_task(name)
    if task is None:
        raise HTTPException(404, "There is no such task.")
    annotation, folder = workspace.settings.params.annotation, workspace.settings.folder
    guidelines = {
        concept: read_guidelines(folder / annotation.guidelines[concept])
        for concept in task.concepts
        if concept in annotation.guidelines
    }
    gallery = [
        (concept, number)
        for concept in task.concepts
        if concept in annotation.gallery
        for number in range(len(list_reference_pictures(folder / annotation.gallery[concept])))
    ]
    texts = _concept_texts(request, task.concepts)
    boot = {
        "task": task.name, "kind": task.kind, "texts": texts, "annotator": user.pseudonym,
        "break_minutes": annotation.break_minutes, "daily_limit": annotation.daily_limit,
        "pass_mark": annotation.pass_mark,
    }  # fmt: skip
    return render_for_user(
        request, user, "judge.html", task=task, texts=texts, guidelines=guidelines, gallery=gallery, boot=boot
    )


@router.get("/pictures/{concept}/{picture}")
def serve_candidate(request: Request, concept: str, picture: str, user: Consenting) -> Response:
    """Serve the picture of a candidate, which the manifest must contain."""
    workspace = get_workspace(request)
    candidate = workspace.candidates.get(concept, {}).get(picture)
    if candidate is None:
        raise HTTPException(404, "The manifest contains no such picture.")
    try:
        raw = read_candidate_picture(workspace.settings.candidates_of(concept), candidate)
    except UserError as error:
        raise HTTPException(410, "This picture cannot be shown any more.") from error
    return Response(raw, media_type="image/png", headers=_NOT_STORED)


@router.get("/gallery/{concept}/{number}")
def serve_reference_picture(request: Request, concept: str, number: int, user: Consenting) -> Response:
    """Serve a reference picture by its number in the concept's gallery."""
    workspace = get_workspace(request)
    gallery = workspace.settings.params.annotation.gallery
    pictures = list_reference_pictures(workspace.settings.folder / gallery[concept]) if concept in gallery else []
    if not 0 <= number < len(pictures):
        raise HTTPException(404, "The gallery contains no such picture.")
    path = pictures[number]
    try:
        raw = read_checked_picture(path, ("PNG", "JPEG", "WEBP"))
    except UserError as error:
        raise HTTPException(410, "This picture cannot be shown.") from error
    return Response(raw, media_type=MEDIA_TYPES[path.suffix.lower()], headers=_NOT_STORED)


@shortcuts.get("/{concept}")
def redirect_to_task(request: Request, concept: str) -> Response:
    """Redirect `/CONCEPT` to the concept's questions."""
    task = get_workspace(request).find_task(concept)
    if task is None:
        raise HTTPException(404, "There is no such page.")
    return RedirectResponse(f"/judge/{task.name}", 303)


def render_for_user(request: Request, user: User, template: str, status: int = 200, **context: Any) -> Response:
    """Render a page in the annotator's language, with the data that its script reads (`boot`)."""
    chosen = read_preferences(get_workspace(request).state, user.pseudonym)
    t = choose_translations(chosen.language, request.headers.get("accept-language", ""))
    boot = context.pop("boot", {}) | {"preferences": chosen.model_dump(), "translations": t.texts}
    return render_page(
        request, template, status, user=user, t=t, languages=list_languages(), preferences=chosen, boot=boot, **context
    )


def _concept_texts(request: Request, concepts: tuple[str, ...]) -> dict[str, str]:
    params = get_workspace(request).settings.params
    return {concept: params.concepts[concept].text for concept in concepts}
