"""The lead's pages in a whole application: what they show, and that each decision is stored once."""

import re
from html import unescape
from uuid import uuid4

import pytest

from hfi_core.annotation.security.identity import get_or_create_pseudonym
from hfi_core.feedback.schema import ADJUDICATION_PREFIX
from hfi_core.io.json_files import write_jsonl
from tests.support.annotation_app import open_annotation_app
from tests.support.annotation_server import read_candidates, write_project
from tests.support.annotation_sign_in import LOCAL, Browser, make_account

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


@pytest.fixture
def annotation_app(tmp_path):
    with open_annotation_app(write_project(tmp_path / "project")) as annotation_app:
        annotation_app.judge("a-one", 0, "yes", note=MARKUP)
        annotation_app.judge("a-two", 0, "no")
        annotation_app.judge("a-one", 1, "yes")
        annotation_app.judge("a-two", 1, "yes")
        yield annotation_app


def forms(text: str) -> list[dict[str, str]]:
    """Return the hidden fields of every decision's form."""
    found = []
    for form in re.findall(r'<form method="post" action="/review/.*?</form>', text, re.DOTALL):
        found.append({key: unescape(value) for key, value in re.findall(r'name="([^"]+)" value="([^"]*)"', form)})
    return found


def test_the_overview_shows_progress_agreement_and_people(annotation_app):
    page = annotation_app.sign_in("Lea").get("/review").text
    assert "4 of 36 judgements" in page and "0 of 12 pictures complete" in page
    assert "a-one" in page and "a-two" in page and "of 1 disagreement" in page


def test_a_decision_is_kept_once_as_the_leads_own_judgement(annotation_app):
    lead = annotation_app.sign_in("Lea")
    (form,) = forms(lead.get("/review/badge").text)
    form["answer"] = "no"
    for _ in range(2):  # a double click sends it twice
        assert lead.fill("/review/badge/binary", **form).headers["location"] == "/review/badge?first=0"
    (decided,) = [
        one for one in annotation_app.store.read_judgements("badge") if one.id.startswith(ADJUDICATION_PREFIX)
    ]
    assert decided.annotator == get_or_create_pseudonym(annotation_app.folder / ".hfi", "Lea")
    assert (decided.picture, decided.answer) == (annotation_app.candidates[0].id, "no")
    page = lead.get("/review/badge").text
    assert "decided" in page and "0 of 1 disagreements to decide" in page


def test_a_decision_supersedes_what_the_lead_said_before(annotation_app):
    lead = annotation_app.sign_in("Lea")
    annotation_app.judge(get_or_create_pseudonym(annotation_app.folder / ".hfi", "Lea"), 0, "yes")
    for answer in ("no", "cant_tell"):
        (form,) = forms(lead.get("/review/badge").text)
        assert lead.fill("/review/badge/binary", **(form | {"answer": answer})).status_code == 303
    mine = get_or_create_pseudonym(annotation_app.folder / ".hfi", "Lea")
    stored = list(annotation_app.store.read_judgements("badge", annotator=mine))
    (counting,) = annotation_app.store.read_judgements("badge", annotator=mine, counting=True)
    assert len(stored) == 3 and counting.answer == "cant_tell"


def test_a_dispute_stays_after_the_lead_who_was_one_of_two_decides_it(annotation_app):
    lead, mine = annotation_app.sign_in("Lea"), get_or_create_pseudonym(annotation_app.folder / ".hfi", "Lea")
    annotation_app.judge(mine, 2, "yes")
    annotation_app.judge("a-one", 2, "no")
    (before,) = [form for form in forms(lead.get("/review/badge").text) if form["picture"].endswith("2")]
    alpha = read_alpha(lead)
    assert lead.fill("/review/badge/binary", **(before | {"answer": "no"})).status_code == 303
    page = lead.get("/review/badge").text
    assert "1 of 2 disagreements to decide" in page
    decided = page[page.index("dispute decided") :]
    assert decided.count(f"<code>{mine}</code>") == 2 and "lead’s decision" in decided
    assert read_alpha(lead) == alpha


def test_a_form_that_is_refused_gets_a_page_in_the_chosen_language_and_a_script_gets_a_code(annotation_app):
    lead, other = annotation_app.sign_in("Lea"), annotation_app.sign_in("Mia")
    assert lead.fill("/preferences", "/preferences", blur="on", language="de").status_code == 303
    (form,) = forms(lead.get("/review/badge").text)
    form["answer"] = "no"
    assert other.fill("/review/badge/binary", "/review/badge", **form | {"csrf_token": ""}).status_code == 303
    page = {"Accept": "text/html", "Origin": lead.origin, "Referer": f"{lead.origin}/review/badge?first=0"}
    for change, status, message in (
        ({"csrf_token": "stale"}, 403, "Diese Seite ist veraltet"),
        ({}, 409, "Sie widerspricht einer Antwort"),  # another lead decided under this id
        ({"answer": "maybe"}, 422, "nicht die erwartete Form"),
        ({"picture": "nothing"}, 404, "Hier ist nichts"),
    ):
        refused = lead.post("/review/badge/binary", data=form | change, headers=page)
        assert refused.status_code == status and message in refused.text
        assert 'lang="de"' in refused.text and 'href="/review/badge?first=0"' in refused.text
    response = lead.post("/review/badge/binary", data=form, headers={"Accept-Language": "fr", "Origin": lead.origin})
    assert response.json() == {
        "code": "conflict",
        "detail": "Sie widerspricht einer Antwort, die schon gespeichert ist.",
    }
    elsewhere = lead.post("/review/badge/binary", data=form, headers=page | {"Referer": "https://evil.example/x"})
    assert "evil.example" not in elsewhere.text and 'class="button primary" href="/"' in elsewhere.text


def test_a_stale_sign_in_form_leads_back_to_the_sign_in(annotation_app):
    stranger = Browser(annotation_app.app, LOCAL)
    headers = {"Accept": "text/html", "Accept-Language": "de", "Referer": f"{LOCAL}/sign-in?next=%2Freview"}
    refused = stranger.post("/sign-in", data={"name": "Ana", "csrf_token": "old"}, headers=headers)
    assert refused.status_code == 403 and "Diese Seite ist veraltet" in refused.text
    assert 'href="/sign-in?next=%2Freview"' in refused.text


def test_what_stops_the_server_is_said_to_people_without_its_details_and_logged(annotation_app, caplog):
    lead = annotation_app.sign_in("Lea")
    (annotation_app.folder / ".hfi/people.json").chmod(0o644)
    page = lead.get("/review", headers={"Accept": "text/html", "Accept-Language": "de"})
    assert page.status_code == 503 and "Der Server kann es jetzt nicht tun" in page.text
    assert "people.json" not in page.text and "chmod 600" in caplog.text
    assert lead.get("/review").json()["code"] == "unavailable"


def read_alpha(lead) -> str:
    """Return the agreement that the overview shows."""
    return re.search(r"<dt>Agreement.*?</dd>", lead.get("/review").text, re.DOTALL)[0]


def test_what_annotators_wrote_is_shown_as_text(annotation_app):
    page = annotation_app.sign_in("Lea").get("/review/badge").text
    assert "<script>alert" not in page and "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    "change",
    [
        {"picture": "../../params"}, {"picture": "badge-999999"}, {"picture": ""}, {"key": "x"},
        {"key": "../../etc/passwd"}, {"sha256": "f" * 64},
        {"answer": "maybe"}, {"answer": ""}, {"first": "-1"}, {"first": "9" * 400}, {"note": "x" * 2001},
    ],
)  # fmt: skip
def test_a_forged_decision_is_refused_and_nothing_is_kept(annotation_app, change):
    lead = annotation_app.sign_in("Lea")
    (form,) = forms(lead.get("/review/badge").text)
    answer = lead.fill("/review/badge/binary", **(form | {"answer": "no"} | change))
    assert answer.status_code in (404, 409, 422)
    assert not [one for one in annotation_app.store.read_judgements("badge") if one.id.startswith(ADJUDICATION_PREFIX)]


def test_a_decision_cannot_take_the_place_of_another_persons(annotation_app):
    lead, other = annotation_app.sign_in("Lea"), annotation_app.sign_in("Max")
    (form,) = forms(lead.get("/review/badge").text)
    assert lead.fill("/review/badge/binary", **(form | {"answer": "no"})).status_code == 303
    own = other.token("/review/badge")
    stolen = other.fill("/review/badge/binary", **(form | {"csrf_token": own, "answer": "yes"}))
    assert stolen.status_code == 409
    (decided,) = [
        one for one in annotation_app.store.read_judgements("badge") if one.id.startswith(ADJUDICATION_PREFIX)
    ]
    assert decided.answer == "no"


def test_a_concept_that_is_not_there_is_not_found(annotation_app):
    lead = annotation_app.sign_in("Lea")
    for concept in ("nothing", "..%2f..%2fparams", "%00", MARKUP.replace("/", "")):
        assert lead.get(f"/review/{concept}").status_code == 404


def test_an_annotator_opens_none_of_the_leads_pages(tmp_path):
    folder = write_project(tmp_path / "project")
    for name, role in (("Ana", "annotator"), ("Lea", "lead")):
        make_account(folder / ".hfi", name, role)
    with open_annotation_app(
        folder, accounts=True, secure=True, hosts=frozenset({"annotate.example.org"})
    ) as annotation_app:
        annotation_app.judge("a-one", 0, "yes")
        annotation_app.judge("a-two", 0, "no")
        ana, lea = annotation_app.sign_in("Ana"), annotation_app.sign_in("Lea")
        (form,) = forms(lea.get("/review/badge").text)
        assert ana.get("/review").status_code == ana.get("/review/badge").status_code == 403
        assert "/review" not in ana.get("/").text
        token = ana.get("/api/session").json()["csrf"]
        for kind in ("binary", "ranking"):
            sent = ana.fill(f"/review/badge/{kind}", **(form | {"answer": "no", "csrf_token": token}))
            assert sent.status_code == 403
        assert lea.fill("/review/badge/binary", **(form | {"answer": "no"})).status_code == 303


def test_the_lead_orders_a_set_that_people_ordered_differently(tmp_path):
    with open_annotation_app(write_project(tmp_path / "project", kind="ranking")) as annotation_app:
        annotation_app.rank("a-one", 0, 1, 2)
        annotation_app.rank("a-two", 2, 1, 0)
        lead = annotation_app.sign_in("Lea")
        (form,) = forms(lead.get("/review/badge").text)
        ids = [candidate.id for candidate in annotation_app.candidates[:3]]
        assert form["pictures"] == ids[-1]
        form["pictures"] = ids
        half = lead.fill("/review/badge/ranking", **form, **{f"place.{ids[0]}": "1"})
        redrawn = form | {f"sha256.{ids[0]}": "f" * 64}
        assert lead.fill("/review/badge/ranking", **redrawn).status_code == 409
        assert half.status_code == 422 and "Give every picture a place" in half.text
        for wrong in ("0", "4", "-1", "1.5", "²", "1e9"):
            places = {f"place.{id}": wrong for id in ids}
            assert lead.fill("/review/badge/ranking", **form, **places).status_code == 422
        places = {f"place.{ids[0]}": "2", f"place.{ids[1]}": "1", f"place.{ids[2]}": "none"}
        assert lead.fill("/review/badge/ranking", **form, **places).status_code == 303
        (decided,) = [
            one for one in annotation_app.store.read_judgements("badge") if one.id.startswith(ADJUDICATION_PREFIX)
        ]
        assert decided.groups == ((ids[1],), (ids[0],)) and decided.not_applicable == (ids[2],)
        assert decided.digests == {candidate.id: candidate.sha256 for candidate in annotation_app.candidates[:3]}


def test_opinions_on_a_redrawn_picture_do_not_count_as_a_dispute_about_the_new_one(annotation_app):
    lead = annotation_app.sign_in("Lea")
    (form,) = forms(lead.get("/review/badge").text)
    path = annotation_app.folder / "candidates/badge/manifest.jsonl"
    old = annotation_app.candidates[0].sha256
    beside = path.with_name("beside")
    beside.write_text(path.read_text().replace(old, "f" * 64))
    beside.rename(path)
    assert lead.fill("/review/badge/binary", **(form | {"answer": "no"})).status_code == 409
    assert forms(lead.get("/review/badge").text) == []


def test_whoever_failed_every_qualification_is_seen_and_gets_one_more_attempt_a_click(tmp_path):
    folder = write_project(tmp_path / "project", qualification=2, pass_mark=1.0, gold="gold.jsonl")
    write_jsonl(folder / "gold.jsonl", [gold_of(candidate) for candidate in read_candidates(folder)[:6]])
    for name, role in (("Ana", "annotator"), ("Lea", "lead")):
        make_account(folder / ".hfi", name, role)
    with open_annotation_app(
        folder, accounts=True, secure=True, hosts=frozenset({"annotate.example.org"})
    ) as annotation_app:
        ana, lea = annotation_app.sign_in("Ana"), annotation_app.sign_in("Lea")
        pseudonym = get_or_create_pseudonym(folder / ".hfi", "Ana")
        assert pseudonym not in lea.get("/review").text
        for _ in range(3):
            assert fail(annotation_app, ana)["state"] in ("qualification", "closed")
        asked = {"task": "badge", "annotator": pseudonym}
        button = re.search(
            r'<form method="post" action="/review/attempts">.*?</form>', lea.get("/review").text, re.DOTALL
        )
        assert pseudonym in button[0] and "Allow another attempt" in button[0]
        token = ana.get("/api/session").json()["csrf"]
        assert ana.fill("/review/attempts", **asked, csrf_token=token).status_code == 403
        assert lea.post("/review/attempts", data=asked, headers={"Origin": lea.origin}).status_code == 403
        assert lea.fill("/review/attempts", "/review", **(asked | {"annotator": "a-nobody"})).status_code == 404
        assert questions(annotation_app, ana)["state"] == "closed"
        for _ in range(2):  # a double click sends it twice
            assert lea.fill("/review/attempts", "/review", **asked).headers["location"] == "/review#closed"
        response = questions(annotation_app, ana)
        assert (response["state"], response["qualification"]["attempt"]) == ("qualification", 4)
        assert "/review/attempts" not in lea.get("/review").text
        assert fail(annotation_app, ana)["state"] == "closed"
        assert "/review/attempts" in lea.get("/review").text


def gold_of(candidate):
    """Return a gold answer."""
    return {
        "id": f"gold-{candidate.id}", "annotator": "lead", "concept": "badge", "kind": "binary", "answer": "yes",
        "picture": candidate.id, "sha256": candidate.sha256,
    }  # fmt: skip


def questions(annotation_app, browser):
    """Return what the server sends to the page's script."""
    return annotation_app.post(browser, "/api/questions/badge", {"count": 9}).json()


def fail(annotation_app, browser):
    """Answer every question of the open attempt wrongly, and return what the server sends then."""
    rows = [
        {"id": uuid4().hex, "kind": "binary", "concept": part["concept"], "picture": part["pictures"][0],
         "sha256": part["sha256"][0], "answer": "no", "proof": part["proof"]}
        for question in questions(annotation_app, browser)["questions"] for part in question["parts"]
    ]  # fmt: skip
    assert annotation_app.post(browser, "/api/answers", {"judgements": rows}).json()["new"] == 2
    return questions(annotation_app, browser)
