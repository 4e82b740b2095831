"""The whole annotation server of a project in this process, and people who have signed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from hfi_core.annotation.app import create_app
from hfi_core.annotation.settings import Access, ServerSettings
from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement
from hfi_core.feedback.store import Store
from hfi_core.params import load_params
from tests.support.annotation_sign_in import LOCAL, PASSWORD, PUBLIC, Browser
from tests.support.stores import store_in


class AnnotationApp:
    """A project, its store and its annotation server."""

    def __init__(self, folder: Path, store: Store, access: Access):
        self.folder, self.store = folder, store
        params = load_params(folder / "params.yaml")
        self.app = create_app(ServerSettings(params, store, folder, access))
        self.candidates = read_manifest(folder / "candidates" / "badge")

    def sign_in(self, name: str, base_url: str = "") -> Browser:
        """Return the browser of a person who has signed in and consented."""
        access = self.app.state.access
        browser = Browser(self.app, base_url or (PUBLIC if access.accounts else LOCAL))
        password = PASSWORD if access.accounts else ""
        assert browser.fill("/sign-in", name=name, password=password).status_code == 303
        assert browser.fill("/welcome", "/welcome", agree="on").status_code == 303
        return browser

    def post(self, browser: Browser, path: str, body=None) -> httpx.Response:
        """POST JSON with the CSRF token, as the page's script does."""
        token = browser.get("/api/session").json()["csrf"]
        return browser.post(path, json=body, headers={"X-CSRF-Token": token, "Origin": browser.origin})

    def judge(self, annotator: str, number: int, answer: str, note: str | None = None) -> None:
        """Add an annotator's answer about a picture to the store."""
        picture = self.candidates[number]
        self.store.add(
            BinaryJudgement(
                id=f"{annotator}.{number}", annotator=annotator, concept="badge", kind="binary", picture=picture.id,
                sha256=picture.sha256, answer=answer, note=note,
            )
        )  # fmt: skip

    def rank(self, annotator: str, *numbers: int) -> None:
        """Add an annotator's ranking to the store."""
        groups = tuple((self.candidates[number].id,) for number in numbers)
        self.store.add(
            RankingJudgement(
                id=f"{annotator}.ranks", annotator=annotator, concept="badge", kind="ranking", groups=groups
            )
        )


@contextmanager
def open_annotation_app(folder: Path, **access) -> Iterator[AnnotationApp]:
    """Run a project's annotation server for the length of a block."""
    with store_in(folder) as store:
        annotation_app = AnnotationApp(folder, store, Access(folder / ".hfi", **access))
        try:
            yield annotation_app
        finally:
            annotation_app.app.state.workspace.state.close()
