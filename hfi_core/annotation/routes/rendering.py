"""Pages of the door and of the lead, from templates that escape whatever they are given."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from hfi_core.annotation.content.i18n import Words, words_for
from hfi_core.annotation.security.identity import User, signed_in
from hfi_core.annotation.security.sessions import csrf_token
from hfi_core.annotation.service.preferences import preferences_of

TEMPLATES = Path(__file__).parents[1] / "templates"


def render(request: Request, template: str, status: int = 200, **known: Any) -> Response:
    """A page; `user` (or None), `csrf` and the words `t` (in their language) are known to it, the first and last unless
    they are given."""
    if "user" not in known:
        known["user"] = signed_in(request)
    known.setdefault("t", words_for_person(request, known["user"]))
    known.setdefault("language", known["t"].language)
    known["csrf"] = csrf_token(request)
    return _templates().TemplateResponse(request, template, known, status_code=status)


def words_of(request: Request) -> Words:
    """Words in the language that the person chose, if one has come in; else as the browser asks."""
    return words_for_person(request, signed_in(request))


def words_for_person(request: Request, user: User | None) -> Words:
    """As `words_of`, of somebody who is known already, or of nobody."""
    page = getattr(request.app.state, "page", None)
    chosen = None if page is None or user is None else preferences_of(page.state, user.pseudonym).language
    return words_for(chosen, request.headers.get("accept-language", ""))


@lru_cache(maxsize=1)
def _templates() -> Jinja2Templates:
    loader = FileSystemLoader(TEMPLATES)
    return Jinja2Templates(env=Environment(loader=loader, autoescape=True, undefined=StrictUndefined))
