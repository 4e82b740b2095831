"""The whole annotation page of a project in this process, and people who have come in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from hfi_core.annotation.app import create_app
from hfi_core.annotation.settings import Access, ServerSettings
from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement
from hfi_core.feedback.store import Store, open_store
from hfi_core.params import load_params
from tests.support.annotation_sign_in import LOCAL, PASSWORD, PUBLIC, Browser


class AnnotationApp:
    """A project, its store, its page."""

    def __init__(self, folder: Path, store: Store, access: Access):
        self.folder, self.store = folder, store
        params = load_params(folder / "params.yaml")
        self.app = create_app(ServerSettings(params, store, folder, access))
        self.candidates = read_manifest(folder / "candidates" / "badge")

    def enter(self, name: str, base_url: str = "") -> Browser:
        """Somebody who has come in and agreed to the first page."""
        access = self.app.state.access
        browser = Browser(self.app, base_url or (PUBLIC if access.accounts else LOCAL))
        password = PASSWORD if access.accounts else ""
        assert browser.fill("/sign-in", name=name, password=password).status_code == 303
        assert self.post(browser, "/api/consent").status_code == 200
        return browser

    def post(self, browser: Browser, path: str, body=None) -> httpx.Response:
        """POST JSON with the token, as the page's script does."""
        token = browser.get("/api/session").json()["csrf"]
        return browser.post(path, json=body, headers={"X-CSRF-Token": token, "Origin": browser.origin})

    def judge(self, annotator: str, number: int, answer: str, note: str | None = None) -> None:
        """Somebody's answer about a picture, straight into the store."""
        picture = self.candidates[number]
        self.store.add(
            BinaryJudgement(
                id=f"{annotator}.{number}", annotator=annotator, concept="badge", kind="binary", picture=picture.id,
                sha256=picture.sha256, answer=answer, note=note,
            )
        )  # fmt: skip

    def rank(self, annotator: str, *numbers: int) -> None:
        """Somebody's order, straight into the store."""
        groups = tuple((self.candidates[number].id,) for number in numbers)
        self.store.add(
            RankingJudgement(
                id=f"{annotator}.ranks", annotator=annotator, concept="badge", kind="ranking", groups=groups
            )
        )


@contextmanager
def open_annotation_app(folder: Path, **access) -> Iterator[AnnotationApp]:
    """A project's page, for the length of a block."""
    with open_store(f"sqlite:///{folder / 'feedback.db'}") as store:
        opened = AnnotationApp(folder, store, Access(folder / ".hfi", **access))
        try:
            yield opened
        finally:
            opened.app.state.workspace.state.close()
