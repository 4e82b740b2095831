"""A project with candidates, its annotation server in a process of its own, and people with real browsers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.annotation_project import AnnotationProject, Server, create_annotation_project
from tests.support.annotator import Annotator
from tests.support.chromium import PATIENCE, chromium

__all__ = ["chromium"]


@pytest.fixture
def project(tmp_path: Path) -> AnnotationProject:
    """A project with 12 candidates of one binary concept."""
    return create_annotation_project(tmp_path / "project")


@pytest.fixture
def serve(tmp_path: Path, forked: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """Start a project's page, in an environment with more variables if need be; it ends with the test."""
    servers: list[Server] = []

    def start(project: AnnotationProject, **environment: str) -> Server:
        servers.append(Server(project, tmp_path / "server.log", forked | environment))
        return servers[-1].start()

    yield start
    for server in servers:
        server.kill()


def _sign_in_cookies(server: Server, name: str) -> list[dict[str, Any]]:
    """Return the cookies of a person who has signed in and consented. A browser would need half a second for this."""
    annotator = Annotator(server.url, name)
    annotator.sign_in()
    return [
        {"name": cookie.name, "value": cookie.value, "url": server.url, "httpOnly": True, "sameSite": "Lax"}
        for cookie in annotator.client.cookies.jar
    ]


@pytest.fixture
def person(chromium) -> Iterator[Callable]:
    """`person(server, name)`: a page in the browser of a person who has signed in and consented.

    Errors that the browser reports fail the test.
    """
    contexts, complaints = [], []

    def arrive(server: Server, name: str = "Ana", path: str = "/", **how):
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 800}} | how))
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_cookies(_sign_in_cookies(server, name))
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: "Content Security" in message.text and complaints.append(message.text))
        page.goto(server.url + path)
        if path.startswith("/judge"):
            page.locator("#work:visible, .panel h2").first.wait_for()
        return page

    yield arrive
    for context in contexts:
        context.close()
    assert complaints == []
