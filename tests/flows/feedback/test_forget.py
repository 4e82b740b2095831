"""Whoever was forgotten stays so, whatever browser is still open."""

import pytest

from flows.feedback.forget import forget_annotator
from hfi_core.annotation.security.accounts import open_accounts
from hfi_core.errors import UserError
from hfi_core.feedback.store import open_store
from hfi_core.params import load_params
from hfi_core.pipeline.layout import HUMAN_EVALUATION_STORE
from tests.support.annotation_app import open_annotation_app
from tests.support.annotation_server import write_project
from tests.support.annotation_sign_in import make_account
from tests.support.stored_judgements import binary


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = write_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def forget(folder, name: str) -> str:
    return "\n".join(forget_annotator(load_params(folder / "params.yaml"), name, False))


def test_an_open_page_makes_no_new_link_for_somebody_who_was_forgotten(folder):
    people = folder / ".hfi/people.json"
    with open_annotation_app(folder) as annotation_app:
        ana, bo = annotation_app.sign_in("Ana"), annotation_app.sign_in("Bo")
        assert ana.get("/api/session").status_code == 200 and "Ana" in people.read_text()
        assert "asks for the name again" in forget(folder, "Ana")
        for path in ("/", "/judge/badge", "/review", "/sign-in"):
            assert ana.get(path).status_code in (200, 401) and "Ana" not in people.read_text()
        assert ana.get("/api/session").status_code == 401 and bo.get("/api/session").status_code == 200
        assert (
            annotation_app.sign_in("Ana").get("/api/session").json()["annotator"].startswith("a-")
        )  # of one's own will


def test_nobody_is_forgotten_who_could_still_sign_in(folder):
    make_account(folder / ".hfi", "Ana B")
    with open_annotation_app(
        folder, accounts=True, secure=True, hosts=frozenset({"annotate.example.org"})
    ) as annotation_app:
        ana = annotation_app.sign_in("Ana B")
        pseudonym = ana.get("/api/session").json()["annotator"]
        for name in ("Ana B", pseudonym):
            with pytest.raises(UserError, match="hfi annotate remove 'Ana B'"):
                forget(folder, name)
        accounts = open_accounts(folder / ".hfi")
        assert accounts.remove("Ana B")
        accounts.invite("ana b", "annotator")
        with pytest.raises(UserError, match="open invitation"):
            forget(folder, "Ana B")
        assert accounts.remove("Ana B")
        accounts.close()
        assert "is deleted" in forget(folder, "Ana B")
        assert ana.get("/api/session").status_code == 401
    for path in (folder / ".hfi").iterdir():
        assert b"Ana B" not in path.read_bytes(), path


def test_whoever_judged_a_human_evaluation_is_forgotten_there_too(folder):
    with open_annotation_app(folder) as annotation_app:
        annotator = annotation_app.sign_in("Ana").get("/api/session").json()["annotator"]
    with open_store(HUMAN_EVALUATION_STORE) as store:
        store.add(binary("one", annotator, concept="first"))
        store.add(binary("two", "another", concept="first"))
    said = "\n".join(forget_annotator(load_params(folder / "params.yaml"), "Ana", True))
    assert "1 judgement(s) by" in said and "hfi human-evaluation collect NAME" in said
    with open_store(HUMAN_EVALUATION_STORE) as store:
        assert [judgement.id for judgement in store.read_judgements()] == ["two"]
    assert "Ana" not in (folder / ".hfi/people.json").read_text()
