"""Render pages from templates, which escape every value."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from hfi_core.annotation.content.i18n import Translations, choose_translations
from hfi_core.annotation.security.identity import User, find_user
from hfi_core.annotation.security.sessions import issue_csrf_token
from hfi_core.annotation.service.preferences import read_preferences

TEMPLATES = Path(__file__).parents[1] / "templates"


def render_page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """Render a page. Adds `csrf`, and where they are missing `user` (or None), the translations `t`, and `language`."""
    if "user" not in context:
        context["user"] = find_user(request)
    context.setdefault("t", translations_for_user(request, context["user"]))
    context.setdefault("language", context["t"].language)
    context["csrf"] = issue_csrf_token(request)
    return _templates().TemplateResponse(request, template, context, status_code=status)


def translations_for_request(request: Request) -> Translations:
    """Return the language that the signed-in person chose, else the one that the browser asks for."""
    return translations_for_user(request, find_user(request))


def translations_for_user(request: Request, user: User | None) -> Translations:
    """Return the language that this person chose, else the one that the browser asks for."""
    workspace = getattr(request.app.state, "workspace", None)
    chosen = None if workspace is None or user is None else read_preferences(workspace.state, user.pseudonym).language
    return choose_translations(chosen, request.headers.get("accept-language", ""))


@lru_cache(maxsize=1)
def _templates() -> Jinja2Templates:
    loader = FileSystemLoader(TEMPLATES)
    return Jinja2Templates(env=Environment(loader=loader, autoescape=True, undefined=StrictUndefined))
