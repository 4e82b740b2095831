"""The annotation server as an ASGI application."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from hfi_core.annotation.routes import api, errors, pages, review, sign_in
from hfi_core.annotation.security.middleware import protect
from hfi_core.annotation.service.single_flight import SingleFlight
from hfi_core.annotation.service.workspace import Workspace, open_workspace
from hfi_core.annotation.settings import ServerSettings
from hfi_core.errors import UserError

_STATIC = Path(__file__).parent / "static"


def create_app(settings: ServerSettings) -> FastAPI:
    """Create the annotation server of one project.

    Raises UserError if the project lacks a file: candidates, gold questions or guidelines.
    """
    workspace = open_workspace(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # The first look at the review need not wait until a large store is read.
        threading.Thread(target=_read_figures, args=(workspace,), daemon=True).start()
        yield
        workspace.state.close()

    # No generated documentation pages: they load scripts from other servers.
    app = FastAPI(title="HFI annotation", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.workspace = workspace
    app.state.concept_views = SingleFlight(review.MAX_AGE_SECONDS)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    for router in (pages.router, api.router, review.router, sign_in.router):
        app.include_router(router)
    app.exception_handler(UserError)(errors.handle_user_error)
    app.exception_handler(HTTPException)(errors.handle_http_error)
    app.exception_handler(RequestValidationError)(errors.handle_validation_error)
    protect(app, settings.access, errors.refuse)
    app.include_router(pages.shortcuts)
    return app


def _read_figures(workspace: Workspace) -> None:
    with suppress(UserError):  # whoever opens the review gets the error
        for concept, choice in workspace.settings.params.concepts.items():
            workspace.update_figures(concept, choice.feedback)
