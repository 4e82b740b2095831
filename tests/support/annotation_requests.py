"""A browser's requests without a browser: the server as an ASGI application, and a person who has signed in."""

import re
import uuid
from typing import Any

from starlette.testclient import TestClient

from hfi_core.annotation.app import create_app
from hfi_core.annotation.settings import Access, ServerSettings
from hfi_core.feedback.store import Store
from tests.support.annotation_project import AnnotationProject


class ApiClient:
    """One person's requests."""

    def __init__(self, app, name: str = "Ana", consents: bool = True):
        self.client = TestClient(app, base_url="http://localhost", follow_redirects=False)
        page = self.client.get("/sign-in")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        self.client.post("/sign-in", data={"name": name, "csrf_token": token, "next": "/"})
        self.csrf = self.client.get("/api/session").json()["csrf"]
        if consents:
            self.fill("/welcome", agree="on")

    def get(self, path: str):
        """GET a page, as a browser does."""
        return self.client.get(path, headers={"Accept": "text/html"})

    def fill(self, path: str, **fields: str):
        """Send a form, as a browser does."""
        return self.client.post(path, data=fields | {"csrf_token": self.csrf}, headers={"Accept": "text/html"})

    def post(self, path: str, body: Any):
        """POST JSON, as the page's script does."""
        return self.client.post(path, json=body, headers={"X-CSRF-Token": self.csrf, "Accept": "application/json"})

    def ask(self, task: str = "badge", count: int = 5, have: list[list[str]] | None = None) -> dict[str, Any]:
        """Return the next questions, with the progress and the status that come with them."""
        answer = self.post(f"/api/questions/{task}", {"count": count, "have": have or []})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def answer(self, question: dict[str, Any], answer: str = "yes", **more: Any):
        """Send a binary answer to every part of a question."""
        return self.post("/api/answers", {"judgements": build_judgements(question, answer, **more)})


def build_judgements(question: dict[str, Any], answer: str = "yes", **more: Any) -> list[dict[str, Any]]:
    """Return the judgements that the page's script would send."""
    return [
        {
            "id": str(uuid.uuid4()), "kind": "binary", "concept": part["concept"], "proof": part["proof"],
            "picture": part["pictures"][0], "sha256": part["sha256"][0], "answer": answer,
            "shown_at": "2026-11-25T09:00:00.000Z", "answered_at": "2026-11-25T09:00:02.000Z",
        } | more
        for part in question["parts"]
    ]  # fmt: skip


def create_test_app(project: AnnotationProject, store: Store):
    """The page of a project."""
    return create_app(ServerSettings(project.params, store, project.folder, Access.loopback(project.folder / ".hfi")))
