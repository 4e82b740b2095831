"""A project to judge, its page in a real server process, and people with real browsers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.annotation_project import AnnotationProject, Server, create_annotation_project
from tests.support.annotator import Annotator
from tests.support.chromium import PATIENCE, chromium

__all__ = ["chromium"]


@pytest.fixture
def office(tmp_path: Path) -> AnnotationProject:
    """A project with 12 candidates of one binary concept."""
    return create_annotation_project(tmp_path / "project")


@pytest.fixture
def serve(tmp_path: Path, forked: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """Start a project's page, in an environment with more variables if need be; it ends with the test."""
    servers: list[Server] = []

    def start(office: AnnotationProject, **environment: str) -> Server:
        servers.append(Server(office, tmp_path / "server.log", forked | environment))
        return servers[-1].start()

    yield start
    for server in servers:
        server.kill()


def _entered(server: Server, name: str) -> list[dict[str, Any]]:
    """The cookies of somebody who has come in and agreed: a browser takes half a second for these two pages."""
    annotator = Annotator(server.url, name)
    annotator.enter()
    return [
        {"name": cookie.name, "value": cookie.value, "url": server.url, "httpOnly": True, "sameSite": "Lax"}
        for cookie in annotator.client.cookies.jar
    ]


@pytest.fixture
def person(chromium) -> Iterator[Callable]:
    """`person(server, name)`: somebody with a browser of their own, who has come in and agreed to the first page.

    What the browser complains about fails the test.
    """
    contexts, complaints = [], []

    def arrive(server: Server, name: str = "Ana", path: str = "/", **how):
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 800}} | how))
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_cookies(_entered(server, name))
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
