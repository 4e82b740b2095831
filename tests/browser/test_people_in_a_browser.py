"""Several people, the first page, limits, qualification and gold questions, seen from the browser."""

from collections import Counter

from playwright.sync_api import expect

from hfi_core.feedback.store.pseudonyms import KEY_VARIABLE
from tests.support.annotation_page import is_asking, press_answers, shown_picture, wait_until_saved


def test_nothing_is_shown_before_the_first_page_is_agreed_to(project, serve, chromium):
    server = serve(project)
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/judge/badge")
    page.fill("input[name=name]", "Ana")
    page.press("input[name=name]", "Enter")
    page.wait_for_url("**/welcome")
    expect(page.locator("h1")).to_have_text("Before you begin")
    assert page.goto(f"{server.url}/judge/badge").url.endswith("/welcome")
    assert context.request.get(f"{server.url}/pictures/badge/badge-000").status == 403
    context.close()


def test_the_forms_work_before_or_without_their_scripts(project, serve, chromium):
    server = serve(project)
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server.url}/judge/badge")
        page.fill("input[name=name]", "Ana")
        page.press("input[name=name]", "Enter")
        page.check("input[name=agree]")
        page.click("form.consent button")
        page.wait_for_url(f"{server.url}/")
        page.goto(f"{server.url}/preferences")
        page.uncheck("input[name=blur]")
        page.select_option("select", "de")
        page.click("form[action='/preferences'] button")
        expect(page.locator(".saved")).to_have_text("Gespeichert.")
        assert not page.is_checked("input[name=blur]") and page.is_checked("input[name=grey]")
        page.click("form[action='/sign-out'] button")
        page.wait_for_url("**/sign-in")


def test_two_people_at_once_never_get_one_picture_twice_nor_more_judgements_than_wanted(project, serve, person):
    project.edit(judgements=1)
    server = serve(project)
    ana, bo = person(server, "Ana", "/judge/badge"), person(server, "Bo", "/judge/badge")
    for _ in range(12):
        for page in (ana, bo):
            if is_asking(page):
                press_answers(page, "y")
    for page in (ana, bo):
        expect(page.locator("#panel")).to_contain_text("Nothing left to judge")
        wait_until_saved(page)
    assert Counter(row.picture for row in project.judgements()).most_common(1)[0][1] == 1
    assert len({row.annotator for row in project.judgements()}) == 2
    assert len(project.judgements()) == 12


def test_the_daily_limit_ends_the_day_and_holds_after_a_reload(project, serve, person):
    project.edit(daily_limit=3)
    page = person(serve(project), path="/judge/badge")
    press_answers(page, "y", "n", "s")
    expect(page.locator("#panel")).to_contain_text("Enough for today")
    wait_until_saved(page)
    page.reload()
    expect(page.locator("#panel")).to_contain_text("Enough for today")
    assert len(project.judgements()) == 2


def test_a_qualification_must_be_passed_and_leaves_no_judgement(project, serve, person):
    known = {f"badge-{n:03d}": "yes" if n % 2 else "no" for n in range(6)}
    project.gold("badge", known)
    project.edit(qualification=3, pass_mark=0.6)
    page = person(serve(project), path="/judge/badge")
    expect(page.locator("#panel")).to_contain_text("A short qualification")
    page.keyboard.press("Enter")
    for _ in range(3):  # all wrong
        press_answers(page, "n" if known[shown_picture(page)] == "yes" else "y")
    expect(page.locator("#panel")).to_contain_text("0 of 3 were right")
    page.click("#panel button")
    for _ in range(3):
        press_answers(page, known[shown_picture(page)][0])
    expect(page.locator("#panel")).to_contain_text("3 of 3 were right")
    page.click("#panel button")
    (first,) = press_answers(page, "y")
    wait_until_saved(page)
    assert first not in known
    assert [row.picture for row in project.judgements()] == [first]


def test_after_a_reload_there_is_no_way_back_into_an_ended_attempt(project, serve, person):
    project.gold("badge", {f"badge-{n:03d}": "yes" for n in range(4)})
    project.edit(qualification=2, pass_mark=1.0)
    page = person(serve(project), path="/judge/badge")
    page.click("#panel button")
    asked = press_answers(page, "n", "n")
    expect(page.locator("#panel")).to_contain_text("0 of 2 were right")
    page.reload()
    expect(page.locator("#panel")).to_contain_text("try again with other pictures")
    page.keyboard.press("u")
    expect(page.locator("#work")).to_be_hidden()
    page.click("#panel button")
    assert not set(press_answers(page, "y", "n")) & set(asked)
    expect(page.locator("#panel")).to_contain_text("1 of 2 were right")


def test_gold_questions_among_the_others_look_alike_and_become_nobodys_judgement(project, serve, person):
    key = {KEY_VARIABLE: "a key, for who is asked what"}  # without one, one person in 256 is asked no gold
    known = {f"badge-{n:03d}": "yes" for n in range(4)}
    project.gold("badge", known)
    project.edit(gold_share=0.5)
    page = person(serve(project, **key), path="/judge/badge")
    seen = []
    while is_asking(page):
        seen += press_answers(page, "y")
    wait_until_saved(page)
    asked = [name for name in seen if name in known]
    assert asked
    assert len(seen) == len(set(seen)) == 8 + len(asked)
    assert {row.picture for row in project.judgements()} == set(seen) - set(asked)
