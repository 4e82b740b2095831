"""One picture after the other, by keys, in a real browser against a real server."""

import json
from statistics import median

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import press_answers, shown_picture, wait_until_saved
from tests.support.annotation_project import create_annotation_project


def test_a_key_answers_and_the_next_picture_is_there_before_the_answer_is_saved(project, serve, person):
    project.draw("badge", 20, size=512)
    page = person(serve(project), path="/judge/badge")
    shown_picture(page)
    page.route("**/api/answers", lambda route: None)  # from here on the server acknowledges nothing
    took = page.evaluate(
        """async () => {
            const took = [], rest = (ms) => new Promise((done) => setTimeout(done, ms));
            for (let n = 0; n < 15; n++) {
                await rest(n ? 300 : 1000); // a person looks; the next ones are fetched meanwhile
                const before = document.getElementById("shown").src, start = performance.now();
                document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "y", bubbles: true }));
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                const image = document.getElementById("shown");
                if (image.src === before || !image.complete || image.naturalWidth !== 512) return null;
                took.push(performance.now() - start);
            }
            return took;
        }"""
    )
    assert took is not None
    assert median(took) < 100


def test_yes_no_and_cant_tell_are_kept_with_who_when_and_what_was_seen(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    seen = press_answers(page, "y", "n", "c")
    wait_until_saved(page)
    rows = project.rows()
    assert [row["picture"] for row in rows] == seen
    assert [row["answer"] for row in rows] == ["yes", "no", "cant_tell"]
    digests = {candidate.id: candidate.sha256 for candidate in project.pictures["badge"]}
    assert all(row["sha256"] == digests[row["picture"]] for row in rows)
    assert all(row["shown_at"] <= row["answered_at"] for row in rows)
    assert {row["annotator"][:2] for row in rows} == {"a-"}
    assert "Ana" not in json.dumps(rows)


def test_a_held_key_answers_once(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    first = shown_picture(page)
    page.keyboard.down("y")
    for _ in range(4):
        page.keyboard.down("y")  # what a held key repeats
    page.keyboard.up("y")
    wait_until_saved(page)
    assert [row["picture"] for row in project.rows()] == [first]


def test_undo_goes_back_any_depth_with_the_answers_and_a_new_answer_supersedes(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    first, second, third = press_answers(page, "y", "n", "c")
    live = shown_picture(page)
    for expected, pressed in ((third, "cant_tell"), (second, "no"), (first, "yes")):
        page.keyboard.press("u")
        assert shown_picture(page) == expected
        expect(page.locator(f"#{pressed}")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("n")  # the first one anew
    assert shown_picture(page) == second
    page.keyboard.press("n")  # the same answer again is not a new judgement
    page.keyboard.press("s")  # keep as it is
    assert shown_picture(page) == live
    wait_until_saved(page)
    assert len(project.judgements()) == 4
    counting = {row.picture: row.answer for row in project.judgements(counting=True)}
    assert counting == {first: "no", second: "no", third: "cant_tell"}


def test_undo_is_still_there_after_a_reload(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    (first,) = press_answers(page, "y")
    wait_until_saved(page)
    page.reload()
    assert shown_picture(page) != first
    page.keyboard.press("Control+z")
    assert shown_picture(page) == first
    page.keyboard.press("n")
    wait_until_saved(page)
    assert [row.answer for row in project.judgements(counting=True)] == ["no"]


def test_a_skipped_picture_is_not_asked_again_and_can_still_be_gone_back_to(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    (skipped,) = press_answers(page, "s")
    wait_until_saved(page)
    page.reload()
    seen = press_answers(page, *"y" * 11)
    assert skipped not in seen
    expect(page.locator("#panel")).to_contain_text("Nothing left to judge")
    wait_until_saved(page)
    assert len(project.judgements()) == 11
    for _ in range(12):
        page.keyboard.press("u")
    assert shown_picture(page) == skipped
    page.keyboard.press("y")
    wait_until_saved(page)
    assert len(project.judgements()) == 12


def test_pictures_are_covered_until_revealed_and_the_next_one_is_covered_again(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    shown_picture(page)
    shown = page.locator("#shown")

    def covered():
        return "blur(" in shown.evaluate("one => getComputedStyle(one).filter")

    assert covered()
    assert "grayscale(1)" in shown.evaluate("one => getComputedStyle(one).filter")
    expect(shown).to_have_attribute("alt", "Picture to judge, hidden")
    page.keyboard.press("r")
    assert not covered()
    expect(page.locator("#cover")).to_have_attribute("aria-pressed", "true")
    press_answers(page, "y")
    assert covered()
    page.click("#cover")
    assert not covered()


@pytest.mark.parametrize("kind", ["binary", "ranking"])
def test_reference_pictures_are_covered_and_shown_one_at_a_time(tmp_path, serve, person, kind):
    project = create_annotation_project(tmp_path / "project", {"badge": kind})
    gallery = project.folder / "reference"
    gallery.mkdir()
    (gallery / "a.png").write_bytes((project.folder / "candidates/badge/pictures/badge-000.png").read_bytes())
    project.edit(gallery={"badge": "reference"})
    page = person(serve(project), path="/judge/badge")
    thumb, shown = page.locator(".thumb img"), page.locator("#enlarged img")
    filter_of = "one => getComputedStyle(one).filter"
    assert "blur(" in thumb.evaluate(filter_of) and "grayscale(1)" in thumb.evaluate(filter_of)
    page.locator(".thumb").focus()
    page.keyboard.press("Enter")
    expect(shown).to_be_visible()
    assert shown.evaluate(filter_of) == "none"
    page.keyboard.press("Escape")
    assert "blur(" in thumb.evaluate(filter_of)
    page.goto(page.url.replace("/judge/badge", "/preferences"))
    page.uncheck("input[name=blur]")
    page.uncheck("input[name=grey]")
    page.click("form[action='/preferences'] button")
    expect(page.locator(".saved")).to_be_visible()
    page.goto(page.url.replace("/preferences?saved=1", "/judge/badge"))
    assert thumb.evaluate(filter_of) == "none" and page.locator("#gallery-hint").count() == 0


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_button_is_within_a_phones_width(project, serve, person, language):
    page = person(serve(project), path="/judge/badge", viewport={"width": 390, "height": 844}, locale=language)
    shown_picture(page)
    edges = "[...document.querySelectorAll('#answers button')].map((one) => one.getBoundingClientRect().right)"
    assert max(page.evaluate(edges)) <= 390


def test_covering_is_a_preference_that_lasts(project, serve, person):
    server = serve(project)
    page = person(server, path="/preferences")
    page.uncheck("input[name=blur]")
    page.uncheck("input[name=grey]")
    page.select_option("select", "de")
    page.click("form[action='/preferences'] button")
    expect(page.locator(".saved")).to_be_visible()
    server.kill()
    server.start()
    page.goto(f"{server.url}/judge/badge")
    shown_picture(page)
    assert page.locator("#shown").evaluate("one => getComputedStyle(one).filter") == "none"
    expect(page.locator("#question")).to_have_text("Ist dieses Bild anstößig?")
    press_answers(page, "j")  # the key that the German page shows
    wait_until_saved(page)
    assert [row["answer"] for row in project.rows()] == ["yes"]


def test_single_keys_rest_where_they_are_turned_off_and_while_a_note_is_written(project, serve, person):
    page = person(serve(project), path="/judge/badge")
    first = shown_picture(page)
    page.keyboard.press("t")
    page.keyboard.type("yes, no, sure")
    assert shown_picture(page) == first
    page.keyboard.press("Escape")
    press_answers(page, "y")
    page.goto(page.url.replace("/judge/badge", "/preferences"))
    page.uncheck("input[name=keys]")
    page.click("form[action='/preferences'] button")
    expect(page.locator(".saved")).to_be_visible()
    page.goto(page.url.replace("/preferences?saved=1", "/judge/badge"))
    second = shown_picture(page)
    page.keyboard.press("n")
    assert shown_picture(page) == second
    page.click("#no")
    wait_until_saved(page)
    assert [(row["answer"], row["note"]) for row in project.rows()] == [("yes", "yes, no, sure"), ("no", None)]


def test_what_people_write_is_shown_as_text(project, serve, person):
    attack = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
    project.draw("badge", 3, prompt=attack)
    (project.folder / "guide.md").write_text(
        f"# Guide\n{attack}\n\n[link](javascript:alert(1)) ![p](http://x.test/p.png)"
    )
    project.edit(guidelines={"badge": "guide.md"})
    page = person(serve(project), name="<b>Ana</b>", path="/judge/badge")
    shown_picture(page)
    expect(page.locator("#prompt p")).to_have_text(attack)
    expect(page.locator("#guidelines")).to_contain_text("onerror")
    assert page.locator("#guidelines img, #guidelines script, #guidelines a[href^=javascript]").count() == 0
    page.keyboard.press("t")
    page.keyboard.type(attack)
    page.keyboard.press("Escape")
    press_answers(page, "y")
    page.keyboard.press("u")
    assert page.input_value("#note-text") == attack
    wait_until_saved(page)
    assert "hacked" not in page.title()
    assert [row["note"] for row in project.rows()] == [attack]


def test_concepts_that_share_pictures_are_asked_about_at_once(tmp_path, serve, person):
    project = create_annotation_project(tmp_path / "project", {"gore": "binary", "hate": "binary"})
    project.draw("gore", 4, prefix="queue")
    project.draw("hate", 4, prefix="queue")
    page = person(serve(project))
    expect(page.locator(".task")).to_contain_text("4 pictures")
    page.click(".task .button")
    first = shown_picture(page)
    expect(page.locator(".concept-row")).to_have_count(2)
    page.keyboard.press("1")
    page.keyboard.press("Shift+2")
    page.keyboard.press("Enter")
    page.wait_for_function("old => !document.getElementById('shown').src.includes(old)", arg=first)
    second = shown_picture(page)
    page.locator(".concept-row input").nth(1).check()
    page.keyboard.press("Enter")  # from the checkbox, too
    page.wait_for_function("old => !document.getElementById('shown').src.includes(old)", arg=second)
    page.keyboard.press("u")
    page.keyboard.press("1")
    page.keyboard.press("Enter")  # only what has changed is superseded
    wait_until_saved(page)
    counting = {(row.picture, row.concept): row.answer for row in project.judgements(counting=True)}
    assert counting == {
        (first, "gore"): "yes", (first, "hate"): "cant_tell", (second, "gore"): "yes", (second, "hate"): "yes",
    }  # fmt: skip
    assert len(project.judgements()) == 5


def test_a_break_is_proposed_after_the_time_that_params_name(project, serve, person):
    project.edit(break_minutes=0.005)
    page = person(serve(project), path="/judge/badge")
    shown_picture(page)
    page.wait_for_timeout(400)
    page.keyboard.press("y")
    expect(page.locator("#break")).to_be_visible()
    page.keyboard.press("y")  # judges nothing behind the reminder
    page.click("#break-over")
    expect(page.locator("#break")).to_be_hidden()
    wait_until_saved(page)
    assert len(project.judgements()) == 1
