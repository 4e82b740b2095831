"""A project to judge, its page in a real server process, and people with real browsers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.annotation.page.project import Office, Server, open_office

PATIENCE = 20_000


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """A project with 12 candidates of one binary concept."""
    return open_office(tmp_path / "project")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Office], Server]]:
    """Start a project's page; it ends with the test."""
    servers: list[Server] = []

    def start(office: Office) -> Server:
        servers.append(Server(office, tmp_path / "server.log"))
        return servers[-1].start()

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def person(chromium) -> Iterator[Callable]:
    """`person(server, name)`: somebody with a browser of their own, who has agreed to the first page.

    What the browser complains about fails the test.
    """
    contexts, complaints = [], []

    def arrive(server: Server, name: str = "Ana", path: str = "/", **how):
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 800}} | how))
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: "Content Security" in message.text and complaints.append(message.text))
        page.goto(server.url)
        page.fill("input[name=name]", name)
        page.press("input[name=name]", "Enter")
        page.wait_for_url("**/welcome")
        page.check("input[name=agree]")
        page.click("form.consent button")
        page.wait_for_url(f"{server.url}/")
        if path != "/":
            page.goto(server.url + path)
        if path.startswith("/judge"):
            page.locator("#work:visible, .panel h2").first.wait_for()
        return page

    yield arrive
    for context in contexts:
        context.close()
    assert complaints == []
