"""The annotator's pages, rendered here, and the pictures on them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from hfi_core.annotation.content.guidelines import PICTURE_TYPES, guidelines_of, reference_pictures
from hfi_core.annotation.content.i18n import languages, words_for
from hfi_core.annotation.content.images import read_candidate, read_checked
from hfi_core.annotation.routes.dependencies import consenting_user, current_user, workspace_of
from hfi_core.annotation.routes.rendering import render
from hfi_core.annotation.security.identity import User
from hfi_core.annotation.service.preferences import preferences_of
from hfi_core.errors import UserError

router = APIRouter()
shortcuts = APIRouter()
"""Addresses that people type; `create_app` puts them behind all others."""
_FOREVER = {"Cache-Control": "private, max-age=86400, immutable"}
"""A picture's address holds its digest; only the annotator's own browser keeps it."""

Consenting = Annotated[User, Depends(consenting_user)]


@router.get("/")
def home(request: Request, user: Consenting) -> Response:
    """What there is to judge, and how far it is."""
    page = workspace_of(request)
    tasks = [{"task": task, "work": page.work(task), "texts": _texts(request, task.concepts)} for task in page.tasks]
    return show(request, user, "home.html", tasks=tasks)


@router.get("/welcome")
def welcome(request: Request, user: Annotated[User, Depends(current_user)]) -> Response:
    """What is asked, what may be seen, and the way out."""
    return show(request, user, "welcome.html")


@router.get("/preferences")
def preferences(request: Request, user: Consenting) -> Response:
    """How the annotator wants to see pictures."""
    return show(request, user, "preferences.html")


@router.get("/judge/{name}")
def judge(request: Request, name: str, user: Consenting) -> Response:
    """The page on which pictures are judged."""
    page = workspace_of(request)
    task = page.task(name)
    if task is None:
        raise HTTPException(404, "There is no such task.")
    annotation, folder = page.settings.params.annotation, page.settings.folder
    guidelines = {
        concept: guidelines_of(folder / annotation.guidelines[concept])
        for concept in task.concepts
        if concept in annotation.guidelines
    }
    gallery = [
        (concept, number)
        for concept in task.concepts
        if concept in annotation.gallery
        for number in range(len(reference_pictures(folder / annotation.gallery[concept])))
    ]
    texts = _texts(request, task.concepts)
    boot = {
        "task": task.name, "kind": task.kind, "texts": texts, "annotator": user.pseudonym,
        "break_minutes": annotation.break_minutes, "daily_limit": annotation.daily_limit,
        "pass_mark": annotation.pass_mark,
    }  # fmt: skip
    return show(request, user, "judge.html", task=task, texts=texts, guidelines=guidelines, gallery=gallery, boot=boot)


@router.get("/pictures/{concept}/{picture}")
def picture(request: Request, concept: str, picture: str, user: Consenting) -> Response:
    """A candidate, by its id in the manifest and by nothing else."""
    page = workspace_of(request)
    candidate = page.candidates.get(concept, {}).get(picture)
    if candidate is None:
        raise HTTPException(404, "The manifest holds no such picture.")
    try:
        raw = read_candidate(page.settings.folder / "candidates" / concept, candidate)
    except UserError as error:
        raise HTTPException(410, "This picture cannot be shown any more.") from error
    return Response(raw, media_type="image/png", headers=_FOREVER)


@router.get("/gallery/{concept}/{number}")
def reference(request: Request, concept: str, number: int, user: Consenting) -> Response:
    """A reference picture, by its place in the concept's gallery."""
    page = workspace_of(request)
    gallery = page.settings.params.annotation.gallery
    pictures = reference_pictures(page.settings.folder / gallery[concept]) if concept in gallery else []
    if not 0 <= number < len(pictures):
        raise HTTPException(404, "The gallery holds no such picture.")
    path = pictures[number]
    try:
        raw = read_checked(path, ("PNG", "JPEG", "WEBP"))
    except UserError as error:
        raise HTTPException(410, "This picture cannot be shown.") from error
    return Response(raw, media_type=PICTURE_TYPES[path.suffix.lower()], headers=_FOREVER)


@shortcuts.get("/{concept}")
def shortcut(request: Request, concept: str) -> Response:
    """`/CONCEPT` leads to the concept's questions."""
    task = workspace_of(request).task(concept)
    if task is None:
        raise HTTPException(404, "There is no such page.")
    return RedirectResponse(f"/judge/{task.name}", 303)


def show(request: Request, user: User, template: str, **known: Any) -> Response:
    """A page in the annotator's language."""
    chosen = preferences_of(workspace_of(request).state, user.pseudonym)
    words = words_for(chosen.language, request.headers.get("accept-language", ""))
    boot = known.pop("boot", {}) | {"preferences": chosen.model_dump(), "words": words.all}
    return render(
        request, template, t=words, language=words.language, languages=languages(), preferences=chosen, boot=boot,
        **known,
    )  # fmt: skip


def _texts(request: Request, concepts: tuple[str, ...]) -> dict[str, str]:
    params = workspace_of(request).settings.params
    return {concept: params.concepts[concept].text for concept in concepts}
