"""Pages of the door and of the lead, from templates that escape whatever they are given."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from hfi_core.annotation.identity import signed_in
from hfi_core.annotation.preferences import preferences_of
from hfi_core.annotation.protection import csrf_token
from hfi_core.annotation.words import Words, words_for

TEMPLATES = Path(__file__).parent / "templates"


def render(request: Request, template: str, status: int = 200, **known: Any) -> Response:
    """A page; `user` (or None), `csrf` and the words `t` (those of `words_of`, if none are given) are known to it."""
    known.setdefault("t", words_of(request))
    known.setdefault("language", known["t"].language)
    known |= {"user": signed_in(request), "csrf": csrf_token(request)}
    return _templates().TemplateResponse(request, template, known, status_code=status)


def words_of(request: Request) -> Words:
    """Words in the language that the person chose, if one has come in; else as the browser asks."""
    page, user = getattr(request.app.state, "page", None), signed_in(request)
    chosen = None if page is None or user is None else preferences_of(page.state, user.pseudonym).language
    return words_for(chosen, request.headers.get("accept-language", ""))


@lru_cache(maxsize=1)
def _templates() -> Jinja2Templates:
    loader = FileSystemLoader(TEMPLATES)
    return Jinja2Templates(env=Environment(loader=loader, autoescape=True, undefined=StrictUndefined))
