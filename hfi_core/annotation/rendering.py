"""Pages of the door and of the lead, from templates that escape whatever they are given."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from hfi_core.annotation.identity import signed_in
from hfi_core.annotation.protection import csrf_token

TEMPLATES = Path(__file__).parent / "templates"


def render(request: Request, template: str, status: int = 200, **known: Any) -> Response:
    """A page; `user` (or None) and `csrf` are known to every template."""
    known |= {"user": signed_in(request), "csrf": csrf_token(request)}
    return _templates().TemplateResponse(request, template, known, status_code=status)


@lru_cache(maxsize=1)
def _templates() -> Jinja2Templates:
    loader = FileSystemLoader(TEMPLATES)
    return Jinja2Templates(env=Environment(loader=loader, autoescape=True, undefined=StrictUndefined))
