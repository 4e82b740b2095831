"""The annotation page as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from hfi_core.annotation import api, pages, review
from hfi_core.annotation.answers import Refused
from hfi_core.annotation.page import open_page
from hfi_core.annotation.protection import protect
from hfi_core.annotation.rendering import render, words_of
from hfi_core.annotation.settings import Settings
from hfi_core.errors import UserError

_STATIC = Path(__file__).parent / "static"


def create_app(settings: Settings) -> FastAPI:
    """The page for one project.

    Raises UserError that names what the project lacks: candidates, gold, guidelines.
    """
    page = open_page(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        page.state.close()

    # No generated documentation pages: they fetch their scripts from elsewhere.
    app = FastAPI(title="HFI annotation", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.settings, app.state.page = settings, page
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    for router in (pages.router, api.router, review.router):
        app.include_router(router)
    app.add_exception_handler(UserError, _refused)
    app.add_exception_handler(HTTPException, _lost)
    app.add_exception_handler(RequestValidationError, _malformed)
    protect(app, settings.access)
    app.include_router(pages.shortcuts)
    return app


def _refused(request: Request, error: Exception) -> Response:
    """Say whether sending again can help: the browser shows why an answer is refused, and retries the rest."""
    from hfi_core.feedback.store import Conflict

    if isinstance(error, Refused | Conflict):
        return api.refusal(409, "refused", str(error))
    return api.refusal(503, "unavailable", str(error))


def _malformed(request: Request, error: Exception) -> Response:
    """A request that no page of ours sends; what it held is not repeated."""
    return api.refusal(422, "malformed", "The request is not of the expected form.")


async def _lost(request: Request, error: HTTPException) -> Response:
    """Say on a page of ours, to whoever asked for a page, that there is none, or none for them."""
    what = {403: "lost.lead", 404: "lost"}.get(error.status_code)
    if what is None or request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return await http_exception_handler(request, error)
    words = words_of(request)
    return render(request, "lost.html", error.status_code, title=words(f"{what}.title"), message=words(what))
