"""An annotator without a browser, who sends the same requests as the page's script."""

import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Annotator:
    """One person at one server. Every request is sent again, under the same id, until the server answers."""

    address: str
    name: str
    task: str = "badge"
    client: httpx.Client = field(init=False)
    questions: deque[dict[str, Any]] = field(default_factory=deque)
    retries: int = 0

    def __post_init__(self):
        self.client = httpx.Client(base_url=self.address, timeout=30, follow_redirects=False)

    def sign_in(self) -> None:
        """Sign in with a name, and consent."""
        token = _TOKEN.search(self._again("GET", "/sign-in").text)[1]
        data = {"csrf_token": token, "name": self.name}
        assert self._again("POST", "/sign-in", data=data).status_code == 303
        self._token = self._again("GET", "/api/session").json()["csrf"]
        data = {"csrf_token": self._token, "agree": "on"}
        assert self._again("POST", "/welcome", data=data, headers={"Origin": self.address}).status_code == 303

    def fetch(self, count: int = 10) -> bool:
        """Ask for more questions, and return whether there are any."""
        have = [question["refs"] for question in self.questions]
        given = self.post(f"/api/questions/{self.task}", {"have": have, "count": count})
        self.questions.extend(given["questions"])
        return bool(given["questions"])

    def judgement(self, question: dict[str, Any], answer: str, supersedes: str | None = None) -> dict[str, Any]:
        """Return a new answer to a binary question, with its own id."""
        (part,) = question["parts"]
        row = {
            "id": str(uuid4()), "kind": "binary", "concept": part["concept"], "picture": part["pictures"][0],
            "sha256": part["sha256"][0], "answer": answer, "proof": part["proof"],
        }  # fmt: skip
        return row | ({"supersedes": supersedes} if supersedes else {})

    def save(self, row: dict[str, Any]) -> None:
        """Send an answer until it is acknowledged."""
        assert self.post("/api/answers", {"judgements": [row]})["saved"] == 1

    def post(self, path: str, body: Any) -> Any:
        """POST JSON, and return the JSON of the response."""
        answer = self._again("POST", path, json=body, headers={"X-CSRF-Token": self._token, "Origin": self.address})
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _again(self, method: str, path: str, **how: Any) -> httpx.Response:
        while True:
            try:
                return self.client.request(method, path, **how)
            except httpx.TransportError:
                self.retries += 1
                time.sleep(0.05)
