"""A server that asks about a batch shows its pictures with the words of the concept, and nothing else."""

from pathlib import Path

import pytest

from hfi_core.annotation.app import create_app
from hfi_core.annotation.settings import Access, ServerSettings
from hfi_core.evaluation.human_batch import KEY, ask_about
from hfi_core.evaluation.records import read_variant
from tests.support.annotation_requests import ApiClient
from tests.support.evaluations import small_params, write_row
from tests.support.human_evaluation import make_batch, read_key
from tests.support.stores import store_in

BATCH = Path("data/human_evaluation/first")


@pytest.fixture
def batch(tmp_path):
    params = small_params()
    for row in ("base", "anchored"):
        write_row(tmp_path / "evaluation" / row, params, row)
    variants = [read_variant(tmp_path / "evaluation" / row) for row in ("base", "anchored")]
    return make_batch(params, variants, tmp_path / BATCH, most=3)


@pytest.fixture
def person(batch, tmp_path):
    """Somebody at the server of the batch."""
    with store_in(tmp_path) as store:
        asked = ask_about(small_params(), batch, "sqlite:///unused.db")
        app = create_app(
            ServerSettings(asked, store, tmp_path, Access.loopback(tmp_path / ".hfi"), BATCH / batch.pictures.name)
        )
        yield ApiClient(app)
        app.state.workspace.state.close()


def test_every_picture_of_the_batch_is_asked_once_and_served_as_it_is(batch, person):
    questions = person.ask("first", count=20)["questions"]
    key = {entry.picture: entry.sha256 for entry in read_key(batch)}
    assert {question["pictures"][0]["id"] for question in questions} == set(key) and len(questions) == len(key) == 12
    shown = questions[0]["pictures"][0]
    assert person.get(shown["src"]).content == (batch.pictures / f"pictures/{shown['id']}.png").read_bytes()
    assert person.answer(questions[0]).json() == {"saved": 1, "new": 1}


def test_the_page_asks_the_concepts_question_and_does_not_know_the_rows(batch, person):
    page = person.get("/judge/first").text
    assert small_params().concepts["badge"].text in page
    for word in ("anchored", "precise", "evaluation"):
        assert word not in page
    assert person.get("/judge/badge").status_code == 404


@pytest.mark.parametrize("path", ["key", "key.jsonl", "..%2F..%2Fkey.jsonl", "manifest.jsonl", "question.json"])
def test_the_key_cannot_be_asked_for(batch, person, path):
    assert (batch.folder / KEY).exists()
    assert person.get(f"/pictures/first/{path}").status_code == 404
