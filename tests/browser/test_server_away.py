"""Nothing is lost when the network or the server goes: the page queues, says so, and sends again under the same id."""

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import is_asking, press_answers, shown_picture, wait_until_saved


def test_answers_wait_while_the_server_is_killed_and_each_arrives_once(office, serve, person):
    server = serve(office)
    page = person(server, path="/judge/badge")
    seen = press_answers(page, "y")
    wait_until_saved(page)
    page.wait_for_timeout(300)
    server.kill()
    seen += press_answers(page, "n", "c", "y")
    expect(page.locator("#status")).to_have_attribute("data-state", "waiting")
    expect(page.locator("#status")).to_contain_text("3 answers wait")
    expect(page.locator("#trouble")).to_be_visible()
    assert len(office.judgements()) == 1
    server.start()
    wait_until_saved(page)
    expect(page.locator("#trouble")).to_be_hidden()
    rows = office.rows()
    assert [row["picture"] for row in rows] == seen
    assert [row["answer"] for row in rows] == ["yes", "no", "cant_tell", "yes"]


def test_the_queue_outlives_a_reload_and_what_waits_is_not_asked_again(office, serve, person):
    server = serve(office)
    page = person(server, path="/judge/badge")
    shown_picture(page)
    page.wait_for_timeout(300)
    page.route("**/api/answers", lambda route: route.abort())  # answers get lost, pages still come
    seen = press_answers(page, "y", "n")
    expect(page.locator("#status")).to_contain_text("2 answers wait")
    page.reload()
    expect(page.locator("#status")).to_contain_text("2 answers wait")
    third = shown_picture(page)
    assert third not in seen
    page.unroute("**/api/answers")  # the page tries again by itself, and may do so before anybody reaches its button
    wait_until_saved(page)
    assert sorted(row.picture for row in office.judgements()) == sorted(seen)


def test_where_questions_come_late_the_page_says_so_and_then_asks_them(office, serve, person):
    page = person(serve(office), path="/judge/badge")
    first, late = shown_picture(page), []
    page.route("**/api/questions/badge", lambda route: late.append(route))  # asked for, and not answered yet
    seen = press_answers(page, *"yyyyyyyy")  # all that lay ahead
    assert seen[0] == first
    expect(page.locator("#panel")).to_contain_text("Fetching pictures")
    expect(page.locator("#work")).to_be_hidden()
    for route in late:
        route.continue_()
    page.unroute("**/api/questions/badge")
    assert is_asking(page)
    assert shown_picture(page) not in seen
    press_answers(page, "n")
    wait_until_saved(page)


def test_an_answer_whose_acknowledgement_was_lost_is_kept_once(office, serve, person):
    page = person(serve(office), path="/judge/badge")
    lost = []

    def swallow(route):
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().status)  # the server keeps it; the browser never hears of it
            route.abort()

    page.route("**/api/answers", swallow)
    (judged,) = press_answers(page, "y")
    expect(page.locator("#status")).to_have_attribute("data-state", "waiting")
    wait_until_saved(page)
    assert lost == [200]
    assert [row.picture for row in office.judgements()] == [judged]


def test_judging_goes_on_when_the_pictures_fetched_ahead_run_out_and_the_server_comes_back(office, serve, person):
    server = serve(office)
    page = person(server, path="/judge/badge")
    shown_picture(page)
    page.wait_for_timeout(300)
    server.kill()
    for _ in range(12):
        if not page.locator("#panel").is_visible():
            page.keyboard.press("y")
    expect(page.locator("#panel")).to_contain_text("Waiting for the server")
    waiting = page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('hfi-outbox:')).length")
    assert waiting >= 5
    server.start()
    wait_until_saved(page)
    shown_picture(page)
    assert len(office.judgements()) == waiting


def test_a_refused_answer_is_said_and_does_not_hold_up_the_others(office, serve, person):
    page = person(serve(office), path="/judge/badge")

    def forge(route):
        body = route.request.post_data.replace('"proof":"', '"proof":"0000')
        route.continue_(post_data=body)

    page.route("**/api/answers", forge, times=1)
    press_answers(page, "y")
    expect(page.locator("#status")).to_have_attribute("data-state", "refused")
    expect(page.locator("#trouble")).to_contain_text("This question was not asked")
    (second,) = press_answers(page, "n")
    page.click("#trouble button")
    wait_until_saved(page)
    assert [row.picture for row in office.judgements()] == [second]


@pytest.mark.parametrize("status", [400, 404, 413])
def test_what_can_never_be_taken_is_moved_aside_also_where_the_storage_is_full(office, serve, person, status):
    page = person(serve(office), path="/judge/badge")
    page.evaluate(
        """() => {
            const keep = Storage.prototype.setItem;
            Storage.prototype.setItem = function (key, value) {
                if (key.startsWith("hfi-refused:")) throw new DOMException("full", "QuotaExceededError");
                keep.call(this, key, value);
            };
        }"""
    )
    page.route("**/api/answers", lambda route: route.fulfill(status=status, body="Too large"), times=1)
    press_answers(page, "y")
    expect(page.locator("#trouble")).to_contain_text("1 answer was refused: The server does not take this request.")
    (second,) = press_answers(page, "n")
    page.click("#trouble button")
    wait_until_saved(page)
    expect(page.locator("#trouble")).to_be_hidden()
    assert [row.picture for row in office.judgements()] == [second]


@pytest.mark.parametrize("status", [408, 425, 429, 500])
def test_what_the_server_takes_later_is_sent_again_under_the_same_id(office, serve, person, status):
    page = person(serve(office), path="/judge/badge")
    sent = []

    def refuse(route):
        sent.append(route.request.post_data_json)
        route.fulfill(status=status, json={"code": "later", "detail": "Later."})

    page.route("**/api/answers", refuse, times=1)
    (judged,) = press_answers(page, "y")
    wait_until_saved(page)
    assert [row.id for row in office.judgements()] == [sent[0]["judgements"][0]["id"]]
    assert [row.picture for row in office.judgements()] == [judged]


def test_answers_are_never_sent_as_somebody_else(office, serve, person):
    server = serve(office)
    page = person(server, name="Ana", path="/judge/badge")
    shown_picture(page)
    page.wait_for_timeout(300)
    other = page.context.new_page()
    other.goto(f"{server.url}/preferences")
    other.click("form[action='/sign-out'] button")
    other.fill("input[name=name]", "Bo")
    other.press("input[name=name]", "Enter")
    other.wait_for_url("**/welcome")
    page.keyboard.press("y")
    expect(page.locator("#status")).to_have_attribute("data-state", "signed_out")
    expect(page.locator("#trouble")).to_contain_text("Sign in again")
    assert office.judgements() == []
