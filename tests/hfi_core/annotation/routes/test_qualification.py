"""Attempts at a qualification: the answers of an ended one are final, and the next one asks other questions."""

import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from hfi_core.annotation.service.state import STATE_FILE
from hfi_core.feedback.store import open_store
from hfi_core.io.json_files import write_jsonl
from tests.support.annotation_project import create_annotation_project
from tests.support.annotation_requests import ApiClient, build_judgements, create_test_app

KNOWN = {f"badge-{n:03d}": "yes" for n in range(4)}


@pytest.fixture
def project(tmp_path):
    """A project whose qualification asks two of four gold questions, and takes no mistake."""
    project = create_annotation_project(tmp_path / "project")
    project.gold("badge", KNOWN)
    project.edit(qualification=2, pass_mark=1.0, gold_share=0.0)
    return project


def send(api, question, answer: str, **more):
    """Answer a question; the response, and the id of the answer."""
    (row,) = build_judgements(question, answer, **more)
    return api.post("/api/answers", {"judgements": [row]}), row["id"]


def fail(api) -> list[tuple[dict, str]]:
    """Answer every question of the open attempt wrongly: the questions, and the answers' ids."""
    questions = api.ask(count=9)["questions"]
    return [(question, send(api, question, "no")[1]) for question in questions]


def pictures(questions) -> set[str]:
    return {question["pictures"][0]["id"] for question in questions}


def assert_closed(response):
    assert (response.status_code, response.json()["code"]) == (409, "attempt_closed")
    assert "its answers are final" in response.json()["detail"]


def test_no_answer_of_an_ended_attempt_can_be_changed(api, app):
    answered = fail(api)
    before = api.ask()["qualification"]
    assert (before["attempt"], before["last"]) == (2, [0, 2])
    for question, id in answered:
        assert_closed(send(api, question, "yes", supersedes=id)[0])
        assert_closed(send(api, question, "yes")[0])  # as a new answer
    assert api.ask()["qualification"] == before
    assert app.state.workspace.gold_answers.measure_accuracy("badge") == {}


def test_an_answer_of_the_open_attempt_can_be_changed(api):
    first, second = api.ask(count=9)["questions"]
    _, id = send(api, first, "no")
    assert send(api, first, "yes", supersedes=id)[0].json() == {"saved": 1, "new": 1}
    send(api, second, "yes")
    assert api.ask()["state"] == "judging"


def test_the_answers_of_a_passed_attempt_are_final_too(api):
    questions = api.ask(count=9)["questions"]
    ids = [send(api, question, "yes")[1] for question in questions]
    assert_closed(send(api, questions[0], "no", supersedes=ids[0])[0])
    assert api.ask()["state"] == "judging"


def test_one_question_has_one_answer_and_not_yes_beside_no(api):
    first, second = api.ask(count=9)["questions"]
    assert send(api, first, "no")[0].status_code == 200
    response, _ = send(api, first, "yes")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    send(api, second, "yes")
    assert api.ask()["qualification"]["last"] == [1, 2]


def test_a_skipped_question_cannot_be_answered_once_the_attempt_has_ended(api):
    first, second = api.ask(count=9)["questions"]
    keys = ("concept", "pictures", "proof")
    skips = [{key: part[key] for key in keys} for part in first["parts"]]
    assert api.post("/api/skips", skips).status_code == 200
    send(api, second, "yes")
    assert api.ask()["qualification"]["last"] == [1, 2]
    assert_closed(send(api, first, "yes")[0])
    assert api.post("/api/skips", skips).status_code == 200
    assert api.ask()["qualification"]["last"] == [1, 2]


def test_the_same_answer_sent_again_after_the_end_is_still_known(api):
    questions = api.ask(count=9)["questions"]
    rows = [row for question in questions for row in build_judgements(question, "no")]
    for _ in range(2):
        last = api.post("/api/answers", {"judgements": rows})
    assert last.json() == {"saved": 2, "new": 0}


def test_many_changes_at_once_do_not_reach_an_attempt_that_ends_meanwhile(api, app):
    first, second = api.ask(count=9)["questions"]
    _, id = send(api, first, "no")
    clients = [ApiClient(app) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ends = pool.submit(send, clients[0], second, "no")
        changes = [pool.submit(send, client, first, "yes", supersedes=id) for client in clients[1:]]
        assert ends.result()[0].status_code == 200
        codes = [change.result()[0].status_code for change in changes]
    assert codes.count(200) <= 1 and set(codes) <= {200, 409}
    last = api.ask()["qualification"]["last"]
    assert last == [codes.count(200), 2]
    for _ in range(3):
        assert_closed(send(api, second, "yes")[0])
    assert api.ask()["qualification"]["last"] == last


def test_another_attempt_asks_other_pictures_and_without_others_there_is_none(api):
    first = pictures(question for question, _ in fail(api))
    response = api.ask(count=9)
    assert not response["qualification"]["repeats"]
    second = pictures(response["questions"])
    assert first | second == set(KNOWN) and not first & second
    fail(api)
    closed = api.ask(count=9)
    assert (closed["state"], closed["questions"]) == ("closed", [])


def test_a_lead_may_allow_an_attempt_with_the_same_pictures_and_it_is_said(api, app):
    fail(api), fail(api)
    assert api.ask()["state"] == "closed"
    me, token = api.client.get("/api/session").json()["annotator"], {"csrf_token": api.csrf}
    assert api.client.post("/review/attempts", data={"task": "badge", "annotator": me} | token).status_code == 303
    response = api.ask(count=9)
    assert response["qualification"]["attempt"] == 3 and response["qualification"]["repeats"]
    for question in response["questions"]:
        assert send(api, question, "yes")[0].status_code == 200
    assert api.ask()["state"] == "judging"


def test_other_gold_questions_do_not_open_an_ended_attempt_again(project, store, api):
    answered = fail(api)
    assert api.ask()["qualification"]["attempt"] == 2
    project.gold("badge", {f"badge-{n:03d}": "yes" for n in range(2, 12)})
    api = ApiClient(create_test_app(project, store))
    assert api.ask()["qualification"]["attempt"] == 2
    for question, id in answered:
        assert send(api, question, "yes", supersedes=id)[0].status_code == 409


def test_a_database_of_the_release_before_is_migrated_and_loses_nothing(project, store, api, app):
    answered = fail(api)
    (second, *_) = api.ask(count=9)["questions"]
    send(api, second, "yes")
    app.state.workspace.state.close()
    path = project.folder / ".hfi" / STATE_FILE
    with sqlite3.connect(path) as database:
        for table in ("attempt", "issued", "receipt"):
            database.execute(f"DROP TABLE {table}")
        me = database.execute("SELECT annotator FROM gold").fetchone()[0]
        skip = f"skip:{me}:badge:badge-009:0"
        database.execute("INSERT INTO gold VALUES (?, ?, 'badge', 'badge-009', 0, NULL, '{}', NULL)", (skip, me))
        before = database.execute("SELECT annotator, attempt, correct, row FROM gold ORDER BY row").fetchall()
        database.execute("PRAGMA user_version = 2")
    database.close()
    api = ApiClient(create_test_app(project, store))
    assert api.ask()["qualification"]["last"] == [0, 2]
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (3,)
        after = database.execute("SELECT annotator, attempt, correct, row FROM gold ORDER BY row").fetchall()
    database.close()
    assert after == before
    for question, id in answered:
        assert_closed(send(api, question, "yes", supersedes=id)[0])


def test_a_ranking_of_an_ended_attempt_is_final(tmp_path):
    project = create_annotation_project(tmp_path / "ranking", {"klara": "ranking"})
    ids = [candidate.id for candidate in project.pictures["klara"][:2]]
    digests = {candidate.id: candidate.sha256 for candidate in project.pictures["klara"][:2]}
    row = {"id": "gold-1", "annotator": "lead", "concept": "klara", "kind": "ranking", "digests": digests}
    write_jsonl(project.folder / "gold.jsonl", [row | {"groups": [[picture] for picture in ids]}])
    project.edit(gold="gold.jsonl", qualification=1, pass_mark=1.0, gold_share=0.0)
    with open_store(f"sqlite:///{project.folder}/feedback.db") as store:
        api = ApiClient(create_test_app(project, store))
        (part,) = api.ask("klara", count=1)["questions"][0]["parts"]
        sent = {"kind": "ranking", "concept": "klara", "proof": part["proof"], "digests": digests}
        wrong = sent | {"id": str(uuid.uuid4()), "groups": [[picture] for picture in reversed(ids)]}
        assert api.post("/api/answers", {"judgements": [wrong]}).json()["new"] == 1
        right = sent | {"id": str(uuid.uuid4()), "groups": [[picture] for picture in ids], "supersedes": wrong["id"]}
        assert_closed(api.post("/api/answers", {"judgements": [right]}))
        assert api.ask("klara")["state"] == "closed"
