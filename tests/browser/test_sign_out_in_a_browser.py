"""After sign-out the browser has neither pictures nor notes, and no answer is lost."""

import json

from playwright.sync_api import expect

from tests.support.annotation_page import press_answers, wait_until_saved

STORED = "() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])"


def judge_with_note(page) -> None:
    page.keyboard.press("t")
    page.fill("#note-text", "a private note")
    page.keyboard.press("Escape")
    press_answers(page, "y", "n")


def sign_out(page) -> None:
    page.click("form[action='/sign-out'] button")
    page.wait_for_url("**/sign-in*")


def test_neither_pictures_nor_notes_can_be_read_afterwards(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    judge_with_note(page)
    wait_until_saved(page)
    assert "a private note" in page.evaluate(STORED)
    source = page.get_attribute("#shown", "src")
    sign_out(page)
    assert json.loads(page.evaluate(STORED)) == [[], []]
    cached = """async (source) => {
        try { return (await fetch(source, { cache: "only-if-cached", mode: "same-origin" })).status; }
        catch { return "not cached"; }
    }"""
    assert page.evaluate(cached, source) in ("not cached", 504)
    assert page.request.get(page.url.split("/sign-in")[0] + source).status == 401
    page.go_back()
    expect(page.locator("#shown")).to_have_count(0)
    assert page.url.split("?")[0].endswith("/sign-in")


def test_answers_that_wait_are_sent_before_and_those_of_others_stay(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    page.route("**/api/answers", lambda route: route.abort())
    judge_with_note(page)
    expect(page.locator("#status")).to_have_attribute("data-state", "waiting")
    page.evaluate("() => localStorage.setItem('hfi-outbox:somebody-else:1', '{}')")
    page.unroute("**/api/answers")
    sign_out(page)
    assert len(project.judgements()) == 2
    assert json.loads(page.evaluate(STORED)) == [[["hfi-outbox:somebody-else:1", "{}"]], []]


def test_another_person_in_the_same_tab_gets_none_of_the_notes(project, serve, person):
    server = serve(project)
    page = person(server, path="/judge/badge")
    judge_with_note(page)
    wait_until_saved(page)
    page.context.clear_cookies()
    page.goto(f"{server.url}/judge/badge")
    page.fill("input[name=name]", "Bo")
    page.press("input[name=name]", "Enter")
    page.check("input[type=checkbox]")
    page.click("button.primary")
    page.wait_for_url(f"{server.url}/")
    page.goto(f"{server.url}/judge/badge")
    page.locator("#work:visible").wait_for()
    assert "a private note" not in page.evaluate(STORED)
