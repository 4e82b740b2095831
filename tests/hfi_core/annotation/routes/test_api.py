"""What the server takes and what it refuses, request by request."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from hfi_core.annotation.service.qualification import describe_exhausted_gold
from hfi_core.errors import UserError
from hfi_core.feedback.store import open_store
from hfi_core.feedback.store.pseudonyms import KEY_VARIABLE
from tests.support.annotation_project import create_annotation_project
from tests.support.annotation_requests import ApiClient, build_judgements, create_test_app
from tests.support.projects import REPOSITORY


@pytest.fixture
def office(tmp_path):
    """A project with 12 candidates of one binary concept."""
    return create_annotation_project(tmp_path / "project")


@pytest.fixture
def store(office):
    """The live store of the project."""
    with open_store(f"sqlite:///{office.folder}/feedback.db") as store:
        yield store


@pytest.fixture
def app(office, store):
    """The page of the project."""
    return create_test_app(office, store)


@pytest.fixture
def desk(app):
    """Ana, who has come in and agreed."""
    return ApiClient(app)


def test_an_answer_sent_twice_is_kept_once(desk, store):
    body = {"judgements": build_judgements(desk.ask()["questions"][0])}
    assert desk.post("/api/answers", body).json() == {"saved": 1, "new": 1}
    assert desk.post("/api/answers", body).json() == {"saved": 1, "new": 0}
    assert len(list(store.read_judgements())) == 1


def test_an_id_with_another_answer_is_refused(desk, store):
    (judgement,) = build_judgements(desk.ask()["questions"][0])
    desk.post("/api/answers", {"judgements": [judgement]})
    assert desk.post("/api/answers", {"judgements": [judgement | {"answer": "no"}]}).status_code == 409
    assert [row.answer for row in store.read_judgements()] == ["yes"]


@pytest.mark.parametrize(
    "forged",
    [
        {"proof": "0" * 64}, {"proof": None}, {"proof": 7}, {"proof": "\ud800"},
        {"picture": "badge-011"}, {"concept": "other"}, {"picture": "../params"},
        {"sha256": "0" * 64}, {"annotator": "somebody"}, {"simulated": True},
        {"kind": "ranking"}, {"answer": "maybe"}, {"id": "no spaces"}, {"note": "x" * 2001}, {"supersedes": "nothing"},
        {"shown_at": "yesterday"}, {"more": 1}, {"note": "\ud800"},
    ],
)  # fmt: skip
def test_what_was_not_asked_or_is_no_judgement_is_refused_for_good(desk, store, forged):
    (judgement,) = build_judgements(desk.ask(count=1)["questions"][0])
    answer = desk.client.post(
        "/api/answers",
        content=json.dumps({"judgements": [judgement | forged]}),
        headers={"X-CSRF-Token": desk.csrf, "Content-Type": "application/json"},
    )
    assert answer.status_code in (409, 422)
    assert list(store.read_judgements()) == []


def test_one_persons_question_cannot_be_answered_by_another(app, desk, store):
    question = desk.ask()["questions"][0]
    assert ApiClient(app, "Bo").answer(question).status_code == 409
    assert list(store.read_judgements()) == []


def test_control_characters_leave_a_note_and_everything_else_stays(desk, store):
    desk.answer(desk.ask()["questions"][0], note='=HYPERLINK("x")\x00\x1b[31m\n<b>é</b>')
    (row,) = store.read_judgements()
    assert row.note == '=HYPERLINK("x")[31m\n<b>é</b>'


def test_pictures_are_served_by_the_manifests_ids_only(office, desk):
    (office.folder / "candidates/badge/pictures/unlisted.png").write_bytes(b"secret")
    good = desk.client.get("/pictures/badge/badge-000")
    assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
    for path in (
        "badge/unlisted", "badge/badge-000.png", "other/badge-000", "badge/..%2f..%2f..%2fparams.yaml",
        "badge/%2e%2e/%2e%2e/params.yaml", "..%2f..%2fparams/yaml", "badge/badge-000%00",
    ):  # fmt: skip
        assert desk.client.get(f"/pictures/{path}").status_code == 404, path


def test_a_concepts_short_address_leads_to_its_questions_and_hides_no_other_page(desk):
    assert desk.get("/badge").headers["location"] == "/judge/badge"
    lost = desk.get("/nothing")
    assert (lost.status_code, "There is nothing here" in lost.text) == (404, True)
    assert desk.client.get("/nothing", headers={"Accept": "application/json"}).json() == {
        "code": "lost", "detail": "The address may be mistyped, or the project has changed since.",
    }  # fmt: skip
    assert [desk.get(path).status_code for path in ("/review", "/preferences", "/static/mark.svg")] == [200] * 3


def test_a_picture_that_is_not_the_manifests_or_is_gone_or_hostile_is_not_served(office, desk):
    folder = office.folder / "candidates/badge/pictures"
    (folder / "badge-000.png").unlink()
    (folder / "badge-001.png").write_bytes((folder / "badge-002.png").read_bytes())
    Image.fromarray(np.zeros((1, 1), np.uint8)).resize((5000, 5000)).save(folder / "badge-003.png")
    for name in ("badge-000", "badge-001", "badge-003"):
        answer = desk.client.get(f"/pictures/badge/{name}")
        assert answer.status_code == 410
        assert str(office.folder) not in answer.text


def test_a_picture_whose_file_is_gone_is_not_asked_about(office, store):
    (office.folder / "candidates/badge/pictures/badge-000.png").unlink()
    questions = ApiClient(create_test_app(office, store)).ask(count=20)["questions"]
    assert "badge-000" not in [question["pictures"][0]["id"] for question in questions]
    assert len(questions) == 11


def test_reference_pictures_are_served_by_their_place_only(office, store):
    gallery = office.folder / "reference"
    gallery.mkdir()
    (gallery / "a.png").write_bytes((office.folder / "candidates/badge/pictures/badge-000.png").read_bytes())
    (gallery / "b.png").write_text("<script>")
    office.edit(gallery={"badge": "reference"})
    desk = ApiClient(create_test_app(office, store))
    places = ("badge/0", "badge/1", "badge/2", "badge/-1", "x/0")
    statuses = [desk.client.get(f"/gallery/{place}").status_code for place in places]
    assert statuses == [200, 410, 404, 404, 404]


def test_questions_that_the_browser_has_are_not_given_again(desk):
    first = desk.ask(count=3)["questions"]
    second = desk.ask(count=3, have=[question["refs"] for question in first])["questions"]
    refs = [ref for question in first + second for ref in question["refs"]]
    assert len(set(refs)) == 6


def test_gold_that_somebody_offered_first_keeps_nobody_from_the_rest(office, store):
    gold = {f"badge-{number:03d}": "yes" for number in range(8)}
    office.gold("badge", gold)
    office.edit(gold_share=0.0, qualification=0)
    desk = ApiClient(create_test_app(office, store))
    store.offer("badge", office.pictures["badge"][:8], priority=dict.fromkeys(gold, 9.0))
    told = desk.ask(count=2)
    assert told["state"] == "judging" and len(told["questions"]) == 2
    assert not gold.keys() & {question["pictures"][0]["id"] for question in told["questions"]}


def test_progress_reaches_its_end_without_gold_and_pictures_that_are_gone(office, store):
    store.offer("badge", office.pictures["badge"])
    office.gold("badge", {"badge-000": "yes"})
    office.edit(gold_share=0.0, qualification=0, judgements=1)
    office.draw("badge", 11)
    desk = ApiClient(create_test_app(office, store))
    for question in desk.ask(count=20)["questions"]:
        desk.answer(question)
    progress = store.count_progress("badge", 1)
    assert (progress.answered, progress.asked) == (10, 10)
    assert desk.ask()["state"] == "done"


def test_a_picture_of_another_manifest_is_passed_over_and_not_lost_to_the_annotator(office, desk, store):
    strange = office.pictures["badge"][0].model_copy(update={"id": "strange"})
    store.offer("badge", [strange], priority={"strange": 1.0})
    asked = desk.ask(count=3)["questions"]
    assert len(asked) == 3 and "strange" not in [question["pictures"][0]["id"] for question in asked]
    me, now = desk.client.get("/api/session").json()["annotator"], datetime.now(UTC)
    assert len(store.list_leased("badge", me, now)) == 3
    given = store.assign("badge", me, count=20, judgements=1, lease=timedelta(minutes=1), now=now)
    assert "strange" in [one.picture for one in given], "another page may show it"


def test_newly_drawn_candidates_are_asked_about_without_a_restart(office, desk):
    assert len(desk.ask(count=20)["questions"]) == 12
    office.draw("badge", 5, prefix="anew")
    told = desk.ask(count=20)
    assert sorted(question["pictures"][0]["id"] for question in told["questions"]) == [
        f"anew-{n:03d}" for n in range(5)
    ]
    assert desk.answer(told["questions"][0]).json()["new"] == 1
    assert desk.client.get("/pictures/badge/anew-000").status_code == 200


def test_with_candidates_that_fit_the_gold_no_more_the_page_goes_on_with_the_earlier_ones(office, store, caplog):
    office.gold("badge", {"badge-000": "yes"})
    office.edit(gold_share=0.0, qualification=0)
    desk = ApiClient(create_test_app(office, store))
    office.draw("badge", 5, prefix="anew")
    assert [len(desk.ask(count=2)["questions"]) for _ in range(2)] == [2, 2]
    assert [record.name for record in caplog.records].count("hfi_core.annotation.service.workspace") == 1
    assert "gold.jsonl, line 1" in caplog.text


def test_what_a_browser_says_that_it_holds_reserves_nothing(office, desk, store):
    every = [f"badge/{candidate.id}" for candidate in office.pictures["badge"]]
    desk.ask(count=1, have=[every])
    desk.ask(count=1, have=[every])
    me = desk.client.get("/api/session").json()["annotator"]
    assert len(store.list_leased("badge", me, datetime.now(UTC))) <= 2
    for have in ([["badge/x"] * 101], [["x" * 201]]):
        assert desk.post("/api/questions/badge", {"count": 1, "have": have}).status_code == 422


def test_after_a_restart_open_questions_can_still_be_answered(office, store, desk):
    question = desk.ask()["questions"][0]
    again = ApiClient(create_test_app(office, store))
    assert again.answer(question).json()["new"] == 1


def test_the_script_is_told_what_to_do_when_the_store_is_out_of_reach(office, store, desk, monkeypatch):
    question = desk.ask()["questions"][0]
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "add", lambda *_: (_ for _ in ()).throw(UserError("The disk is full.")))
        answer = desk.answer(question)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")  # the browser tries again
    assert desk.answer(question).json()["new"] == 1


def test_without_agreement_nothing_is_asked_or_kept(app, store):
    stranger = ApiClient(app, "Bo", consents=False)
    assert stranger.post("/api/questions/badge", {"count": 1}).status_code == 403
    assert stranger.post("/api/answers", {"judgements": [{}]}).status_code == 403
    assert stranger.get("/judge/badge").headers["location"] == "/welcome"


def test_preferences_hold_for_one_person_and_unknown_ones_are_refused(app, desk):
    chosen = {"blur": False, "grey": True, "keys": True, "language": "de"}
    assert desk.post("/api/preferences", chosen).status_code == 200
    assert 'lang="de"' in desk.get("/judge/badge").text
    assert 'lang="en"' in ApiClient(app, "Bo").get("/judge/badge").text
    for wrong in ({"blur": "yes"}, {"theme": "x"}, {"language": "../en"}):
        assert desk.post("/api/preferences", wrong).status_code == 422


def test_pages_hold_no_inline_script_or_style_and_fetch_nothing_from_elsewhere(desk):
    for path in ("/", "/welcome", "/preferences", "/judge/badge"):
        text = desk.get(path).text
        assert "style=" not in text
        assert "<style" not in text
        assert "onclick" not in text
        assert 'src="http' not in text
        assert 'href="http' not in text
        scripts = [part.split(">")[0] for part in text.split("<script")[1:]]
        assert all("src=" in script or "application/json" in script for script in scripts)


def test_a_superseded_gold_answer_no_longer_counts_and_the_lead_sees_the_accuracy(office, store, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "a key, for who is asked what")
    office.gold("badge", {"badge-000": "yes"})
    office.edit(gold_share=0.5)
    app = create_test_app(office, store)
    desk, have, golden = ApiClient(app), [], []
    while not golden:
        asked = desk.ask(have=have)["questions"]
        assert asked, "no gold question was asked"
        have += [question["refs"] for question in asked]
        golden = [question for question in asked if question["refs"] == ["badge/badge-000"]]
    (wrong,) = build_judgements(golden[0], "no")
    assert desk.post("/api/answers", {"judgements": [wrong]}).json()["new"] == 1
    (accuracy,) = app.state.workspace.gold_answers.measure_accuracy("badge").values()
    assert (accuracy.right, accuracy.answered) == (0, 1)
    desk.answer(golden[0], "yes", supersedes=wrong["id"])
    (accuracy,) = app.state.workspace.gold_answers.measure_accuracy("badge").values()
    assert (accuracy.right, accuracy.answered) == (1, 1)
    assert desk.answer(golden[0], "no", supersedes=wrong["id"]).status_code == 409
    assert list(store.read_judgements()) == []


def test_gold_that_the_qualification_uses_up_is_warned_of(office, store):
    office.gold("badge", dict.fromkeys(["badge-000", "badge-001", "badge-002"], "yes"))
    for qualification, share, warned in ((3, 0.1, 1), (4, 0.1, 1), (2, 0.1, 0), (0, 0.1, 0), (3, 0.0, 0)):
        office.edit(qualification=qualification, gold_share=share)
        told = describe_exhausted_gold(create_test_app(office, store).state.workspace)
        assert len(told) == warned and all("gold.jsonl has 3" in line for line in told)


def test_rankings_cover_every_picture_once_and_leave_none_alone(tmp_path):
    office = create_annotation_project(tmp_path / "ranking", {"klara": "ranking"})
    office.draw("klara", 11)
    with open_store(f"sqlite:///{office.folder}/feedback.db") as store:
        app = create_test_app(office, store)
        for name in ("Ana", "Bo", "Cy"):
            sizes, seen = [], []
            desk = ApiClient(app, name)
            while questions := desk.ask("klara", count=2, have=seen)["questions"]:
                seen += [question["refs"] for question in questions]
                sizes += [len(question["refs"]) for question in questions]
            assert sorted(sizes) == [5, 6]
            assert len({ref for refs in seen for ref in refs}) == 11


def test_a_ranking_must_say_which_pictures_it_orders(tmp_path):
    office = create_annotation_project(tmp_path / "ranking", {"klara": "ranking"})
    with open_store(f"sqlite:///{office.folder}/feedback.db") as store:
        desk = ApiClient(create_test_app(office, store))
        (part,) = desk.ask("klara", count=1)["questions"][0]["parts"]
        digests = dict(zip(part["pictures"], part["sha256"], strict=True))
        row = {"id": "r", "kind": "ranking", "concept": "klara", "proof": part["proof"], "groups": [part["pictures"]]}
        for wrong in ({}, {"digests": digests | {part["pictures"][0]: "f" * 64}}):
            assert desk.post("/api/answers", {"judgements": [row | wrong]}).status_code == 409
        assert desk.post("/api/answers", {"judgements": [row | {"digests": digests}]}).json()["new"] == 1
        assert [one.digests for one in store.read_judgements()] == [digests]


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ({"gold": "nothing.jsonl"}, "annotation.gold"),
        ({"guidelines": {"badge": "nothing.md"}}, "annotation.guidelines.badge"),
        ({"gallery": {"badge": "nothing"}}, "annotation.gallery.badge"),
    ],
)
def test_what_params_name_and_is_not_there_is_said_at_the_start(office, store, annotation, said):
    office.edit(**annotation)
    with pytest.raises(UserError, match=said):
        create_test_app(office, store)


def test_the_page_costs_no_heavy_import():
    heavy = ("torch", "transformers", "diffusers", "prefect", "mlflow", "dvc")
    code = f"import sys, hfi_core.annotation.app; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert found.stdout.strip() == "[]"
