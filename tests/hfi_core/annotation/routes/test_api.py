"""Which requests the server accepts and which it refuses."""

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from hfi_core.annotation.service.qualification import describe_exhausted_gold, describe_recognizable_gold
from hfi_core.errors import UserError
from hfi_core.feedback.store import open_store
from hfi_core.feedback.store.pseudonyms import KEY_VARIABLE
from hfi_core.io.json_files import write_jsonl
from tests.support.annotation_project import create_annotation_project
from tests.support.annotation_requests import ApiClient, build_judgements, create_test_app
from tests.support.projects import REPOSITORY


@pytest.fixture
def project(tmp_path):
    """A project with 12 candidates of one binary concept."""
    return create_annotation_project(tmp_path / "project")


def test_an_answer_sent_twice_is_kept_once(api, store):
    body = {"judgements": build_judgements(api.ask()["questions"][0])}
    assert api.post("/api/answers", body).json() == {"saved": 1, "new": 1}
    assert api.post("/api/answers", body).json() == {"saved": 1, "new": 0}
    assert len(list(store.read_judgements())) == 1


def test_an_id_with_another_answer_is_refused(api, store):
    (judgement,) = build_judgements(api.ask()["questions"][0])
    api.post("/api/answers", {"judgements": [judgement]})
    assert api.post("/api/answers", {"judgements": [judgement | {"answer": "no"}]}).status_code == 409
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
def test_what_was_not_asked_or_is_not_a_judgement_is_refused_for_good(api, store, forged):
    (judgement,) = build_judgements(api.ask(count=1)["questions"][0])
    answer = api.client.post(
        "/api/answers",
        content=json.dumps({"judgements": [judgement | forged]}),
        headers={"X-CSRF-Token": api.csrf, "Content-Type": "application/json"},
    )
    assert answer.status_code in (409, 422)
    assert list(store.read_judgements()) == []


@pytest.mark.parametrize(
    ("shown", "answered"), [(10, 0), (3600, 3610), (-3600, -3590), (-86400, 86400), (-90000, -86400)]
)
def test_times_that_cannot_be_are_replaced_by_the_servers(api, store, shown, answered):
    before = datetime.now(UTC)
    question = api.ask(count=1)["questions"][0]
    times = {"shown_at": before + timedelta(seconds=shown), "answered_at": before + timedelta(seconds=answered)}
    (sent,) = build_judgements(question, **{name: time.isoformat() for name, time in times.items()})
    for new in (1, 0):
        assert api.post("/api/answers", {"judgements": [sent]}).json() == {"saved": 1, "new": new}
    (row,) = store.read_judgements()
    assert before <= row.shown_at <= row.answered_at <= datetime.now(UTC)
    assert "-" not in re.search(r'"number">([^<]*) s<', api.get("/review").text)[1]


def test_times_that_can_be_are_kept(api, store):
    question = api.ask(count=1)["questions"][0]
    shown = datetime.now(UTC)
    time.sleep(0.05)
    times = {"shown_at": shown, "answered_at": shown + timedelta(seconds=0.02)}
    api.answer(question, **{name: moment.isoformat() for name, moment in times.items()})
    (row,) = store.read_judgements()
    assert {"shown_at": row.shown_at, "answered_at": row.answered_at} == times


def test_one_persons_question_cannot_be_answered_by_another(app, api, store):
    question = api.ask()["questions"][0]
    assert ApiClient(app, "Bo").answer(question).status_code == 409
    assert list(store.read_judgements()) == []


def test_control_characters_leave_a_note_and_everything_else_stays(api, store):
    api.answer(api.ask()["questions"][0], note='=HYPERLINK("x")\x00\x1b[31m\n<b>é</b>')
    (row,) = store.read_judgements()
    assert row.note == '=HYPERLINK("x")[31m\n<b>é</b>'


def test_pictures_are_served_by_the_manifests_ids_only(project, api):
    (project.folder / "candidates/badge/pictures/unlisted.png").write_bytes(b"secret")
    good = api.client.get("/pictures/badge/badge-000")
    assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
    assert good.headers["cache-control"] == "private, no-store"
    for path in (
        "badge/unlisted", "badge/badge-000.png", "other/badge-000", "badge/..%2f..%2f..%2fparams.yaml",
        "badge/%2e%2e/%2e%2e/params.yaml", "..%2f..%2fparams/yaml", "badge/badge-000%00",
    ):  # fmt: skip
        assert api.client.get(f"/pictures/{path}").status_code == 404, path


def test_a_concepts_short_address_leads_to_its_questions_and_hides_no_other_page(api):
    assert api.get("/badge").headers["location"] == "/judge/badge"
    lost = api.get("/nothing")
    assert (lost.status_code, "There is nothing here" in lost.text) == (404, True)
    assert api.client.get("/nothing", headers={"Accept": "application/json"}).json() == {
        "code": "lost", "detail": "The address may be mistyped, or the project has changed since.",
    }  # fmt: skip
    assert [api.get(path).status_code for path in ("/review", "/preferences", "/static/mark.svg")] == [200] * 3


def test_a_picture_that_is_not_the_manifests_or_is_gone_or_hostile_is_not_served(project, api):
    folder = project.folder / "candidates/badge/pictures"
    (folder / "badge-000.png").unlink()
    (folder / "badge-001.png").write_bytes((folder / "badge-002.png").read_bytes())
    Image.fromarray(np.zeros((1, 1), np.uint8)).resize((5000, 5000)).save(folder / "badge-003.png")
    for name in ("badge-000", "badge-001", "badge-003"):
        answer = api.client.get(f"/pictures/badge/{name}")
        assert answer.status_code == 410
        assert str(project.folder) not in answer.text


def test_a_picture_whose_file_is_gone_is_not_asked_about(project, store):
    (project.folder / "candidates/badge/pictures/badge-000.png").unlink()
    questions = ApiClient(create_test_app(project, store)).ask(count=20)["questions"]
    assert "badge-000" not in [question["pictures"][0]["id"] for question in questions]
    assert len(questions) == 11


def test_reference_pictures_are_served_by_their_place_only(project, store):
    gallery = project.folder / "reference"
    gallery.mkdir()
    (gallery / "a.png").write_bytes((project.folder / "candidates/badge/pictures/badge-000.png").read_bytes())
    (gallery / "b.png").write_text("<script>")
    project.edit(gallery={"badge": "reference"})
    api = ApiClient(create_test_app(project, store))
    places = ("badge/0", "badge/1", "badge/2", "badge/-1", "x/0")
    statuses = [api.client.get(f"/gallery/{path}").status_code for path in places]
    assert statuses == [200, 410, 404, 404, 404]


def test_questions_that_the_browser_has_are_not_given_again(api):
    first = api.ask(count=3)["questions"]
    second = api.ask(count=3, have=[question["refs"] for question in first])["questions"]
    refs = [ref for question in first + second for ref in question["refs"]]
    assert len(set(refs)) == 6


def test_gold_that_somebody_offered_first_keeps_nobody_from_the_rest(project, store):
    gold = {f"badge-{number:03d}": "yes" for number in range(8)}
    project.gold("badge", gold)
    project.edit(gold_share=0.0, qualification=0)
    api = ApiClient(create_test_app(project, store))
    store.offer("badge", project.pictures["badge"][:8], priority=dict.fromkeys(gold, 9.0))
    response = api.ask(count=2)
    assert response["state"] == "judging" and len(response["questions"]) == 2
    assert not gold.keys() & {question["pictures"][0]["id"] for question in response["questions"]}


def test_progress_reaches_its_end_without_gold_and_pictures_that_are_gone(project, store):
    store.offer("badge", project.pictures["badge"])
    project.gold("badge", {"badge-000": "yes"})
    project.edit(gold_share=0.0, qualification=0, judgements=1)
    project.draw("badge", 11)
    api = ApiClient(create_test_app(project, store))
    for question in api.ask(count=20)["questions"]:
        api.answer(question)
    progress = store.count_progress("badge", 1)
    assert (progress.answered, progress.asked) == (10, 10)
    assert api.ask()["state"] == "done"


def test_a_picture_of_another_manifest_is_passed_over_and_not_lost_to_the_annotator(project, api, store):
    strange = project.pictures["badge"][0].model_copy(update={"id": "strange"})
    store.offer("badge", [strange], priority={"strange": 1.0})
    asked = api.ask(count=3)["questions"]
    assert len(asked) == 3 and "strange" not in [question["pictures"][0]["id"] for question in asked]
    me, now = api.client.get("/api/session").json()["annotator"], datetime.now(UTC)
    assert len(store.list_leased("badge", me, now)) == 3
    given = store.assign("badge", me, count=20, judgements=1, lease=timedelta(minutes=1), now=now)
    assert "strange" in [one.picture for one in given], "another page may show it"


def test_newly_drawn_candidates_are_asked_about_without_a_restart(project, api):
    assert len(api.ask(count=20)["questions"]) == 12
    project.draw("badge", 5, prefix="anew")
    response = api.ask(count=20)
    assert sorted(question["pictures"][0]["id"] for question in response["questions"]) == [
        f"anew-{n:03d}" for n in range(5)
    ]
    assert api.answer(response["questions"][0]).json()["new"] == 1
    assert api.client.get("/pictures/badge/anew-000").status_code == 200


def test_with_candidates_that_fit_the_gold_no_more_the_page_goes_on_with_the_earlier_ones(project, store, caplog):
    project.gold("badge", {"badge-000": "yes"})
    project.edit(gold_share=0.0, qualification=0)
    api = ApiClient(create_test_app(project, store))
    project.draw("badge", 5, prefix="anew")
    assert [len(api.ask(count=2)["questions"]) for _ in range(2)] == [2, 2]
    assert [record.name for record in caplog.records].count("hfi_core.annotation.service.workspace") == 1
    assert "gold.jsonl, line 1" in caplog.text


def test_what_a_browser_says_that_it_holds_reserves_nothing(project, api, store):
    every = [f"badge/{candidate.id}" for candidate in project.pictures["badge"]]
    api.ask(count=1, have=[every])
    api.ask(count=1, have=[every])
    me = api.client.get("/api/session").json()["annotator"]
    assert len(store.list_leased("badge", me, datetime.now(UTC))) <= 2
    for have in ([["badge/x"] * 101], [["x" * 201]]):
        assert api.post("/api/questions/badge", {"count": 1, "have": have}).status_code == 422


def test_after_a_restart_open_questions_can_still_be_answered(project, store, api):
    question = api.ask()["questions"][0]
    again = ApiClient(create_test_app(project, store))
    assert again.answer(question).json()["new"] == 1


def test_the_response_says_what_to_do_when_the_store_is_out_of_reach(project, store, api, monkeypatch):
    question = api.ask()["questions"][0]
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "add", lambda *_: (_ for _ in ()).throw(UserError("The disk is full.")))
        answer = api.answer(question)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")  # the browser tries again
    assert api.answer(question).json()["new"] == 1


def test_without_agreement_nothing_is_asked_or_kept(app, store):
    stranger = ApiClient(app, "Bo", consents=False)
    assert stranger.post("/api/questions/badge", {"count": 1}).status_code == 403
    assert stranger.post("/api/answers", {"judgements": [{}]}).status_code == 403
    assert stranger.get("/judge/badge").headers["location"] == "/welcome"
    assert stranger.fill("/welcome").status_code == 422  # the box is not ticked
    assert stranger.get("/judge/badge").headers["location"] == "/welcome"


def test_preferences_hold_for_one_person_and_unknown_ones_are_refused(app, api):
    assert api.fill("/preferences", grey="on", keys="on", language="de").status_code == 303
    assert re.findall(r'name="(\w+)" checked', api.get("/preferences").text) == ["grey", "keys"]
    assert 'lang="de"' in api.get("/judge/badge").text
    assert 'lang="en"' in ApiClient(app, "Bo").get("/judge/badge").text
    for wrong in ({"blur": "maybe"}, {"language": "../en"}):
        assert api.fill("/preferences", **wrong).status_code == 422


def test_pages_hold_no_inline_script_or_style_and_fetch_nothing_from_elsewhere(api):
    for path in ("/", "/welcome", "/preferences", "/judge/badge"):
        text = api.get(path).text
        assert "style=" not in text
        assert "<style" not in text
        assert "onclick" not in text
        assert 'src="http' not in text
        assert 'href="http' not in text
        scripts = [part.split(">")[0] for part in text.split("<script")[1:]]
        assert all("src=" in script or "application/json" in script for script in scripts)


def test_a_superseded_gold_answer_no_longer_counts_and_the_lead_sees_the_accuracy(project, store, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "a key, for who is asked what")
    project.gold("badge", {"badge-000": "yes"})
    project.edit(gold_share=0.5)
    app = create_test_app(project, store)
    api, have, golden = ApiClient(app), [], []
    while not golden:
        asked = api.ask(have=have)["questions"]
        assert asked, "no gold question was asked"
        have += [question["refs"] for question in asked]
        golden = [question for question in asked if question["refs"] == ["badge/badge-000"]]
    (wrong,) = build_judgements(golden[0], "no")
    assert api.post("/api/answers", {"judgements": [wrong]}).json()["new"] == 1
    (accuracy,) = app.state.workspace.gold_answers.measure_accuracy("badge").values()
    assert (accuracy.right, accuracy.answered) == (0, 1)
    api.answer(golden[0], "yes", supersedes=wrong["id"])
    (accuracy,) = app.state.workspace.gold_answers.measure_accuracy("badge").values()
    assert (accuracy.right, accuracy.answered) == (1, 1)
    assert api.answer(golden[0], "no", supersedes=wrong["id"]).status_code == 409
    assert list(store.read_judgements()) == []


def test_gold_that_looks_unlike_other_questions_is_warned_of(tmp_path):
    project = create_annotation_project(tmp_path / "project", {"klara": "ranking", "a": "binary", "b": "binary"})
    project.draw("a", 6, prefix="same"), project.draw("b", 6, prefix="same")
    rows = [
        {"id": f"gold-{concept}-{n}", "annotator": "lead", "concept": concept, "kind": "binary", "answer": "yes",
         "picture": project.pictures[concept][n].id, "sha256": project.pictures[concept][n].sha256}
        for concept, n in (("a", 0), ("b", 0), ("a", 1))
    ]  # fmt: skip
    ids = [candidate.id for candidate in project.pictures["klara"]]
    for number, size in enumerate((5, 3)):
        groups = [[picture] for picture in ids[5 * number :][:size]]
        rows.append(
            {"id": f"rank-{number}", "annotator": "lead", "concept": "klara", "kind": "ranking", "groups": groups}
        )
    write_jsonl(project.folder / "gold.jsonl", rows)
    project.edit(gold="gold.jsonl", gold_share=0.1, ranked=5)
    with open_store(f"sqlite:///{project.folder}/feedback.db") as store:
        warnings = describe_recognizable_gold(create_test_app(project, store).state.workspace)
    ranking, partial = sorted(warnings, key=lambda warning: "klara" not in warning)
    assert "klara" in ranking and "1 of its 2" in ranking and "annotation.ranked (5)" in ranking
    assert "a, b" in partial and "1 of its 2" in partial and "same-001" in partial


def test_gold_that_the_qualification_uses_up_is_warned_of(project, store):
    project.gold("badge", dict.fromkeys(["badge-000", "badge-001", "badge-002"], "yes"))
    for qualification, share, warned in ((3, 0.1, 1), (4, 0.1, 1), (2, 0.1, 0), (0, 0.1, 0), (3, 0.0, 0)):
        project.edit(qualification=qualification, gold_share=share)
        response = describe_exhausted_gold(create_test_app(project, store).state.workspace)
        assert len(response) == warned and all("gold.jsonl has 3" in line for line in response)


def test_rankings_cover_every_picture_once_and_leave_none_alone(tmp_path):
    project = create_annotation_project(tmp_path / "ranking", {"klara": "ranking"})
    project.draw("klara", 11)
    with open_store(f"sqlite:///{project.folder}/feedback.db") as store:
        app = create_test_app(project, store)
        for name in ("Ana", "Bo", "Cy"):
            sizes, seen = [], []
            api = ApiClient(app, name)
            while questions := api.ask("klara", count=2, have=seen)["questions"]:
                seen += [question["refs"] for question in questions]
                sizes += [len(question["refs"]) for question in questions]
            assert sorted(sizes) == [5, 6]
            assert len({ref for refs in seen for ref in refs}) == 11


def test_a_ranking_must_say_which_pictures_it_orders(tmp_path):
    project = create_annotation_project(tmp_path / "ranking", {"klara": "ranking"})
    with open_store(f"sqlite:///{project.folder}/feedback.db") as store:
        api = ApiClient(create_test_app(project, store))
        (part,) = api.ask("klara", count=1)["questions"][0]["parts"]
        digests = dict(zip(part["pictures"], part["sha256"], strict=True))
        row = {"id": "r", "kind": "ranking", "concept": "klara", "proof": part["proof"], "groups": [part["pictures"]]}
        for wrong in ({}, {"digests": digests | {part["pictures"][0]: "f" * 64}}):
            assert api.post("/api/answers", {"judgements": [row | wrong]}).status_code == 409
        assert api.post("/api/answers", {"judgements": [row | {"digests": digests}]}).json()["new"] == 1
        assert [one.digests for one in store.read_judgements()] == [digests]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"gold": "nothing.jsonl"}, "annotation.gold"),
        ({"guidelines": {"badge": "nothing.md"}}, "annotation.guidelines.badge"),
        ({"gallery": {"badge": "nothing"}}, "annotation.gallery.badge"),
    ],
)
def test_what_params_name_and_is_not_there_is_said_at_the_start(project, store, annotation, message):
    project.edit(**annotation)
    with pytest.raises(UserError, match=message):
        create_test_app(project, store)


@pytest.mark.integration
def test_the_page_costs_no_heavy_import():
    heavy = ("torch", "transformers", "diffusers", "prefect", "mlflow", "dvc")
    code = f"import sys, hfi_core.annotation.app; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert found.stdout.strip() == "[]"
