"""Five pictures put into an order: by keys, by dragging with mouse or finger, and by tapping."""

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import wait_until_saved
from tests.support.annotation_project import create_annotation_project


@pytest.fixture
def office(tmp_path):
    """A project with one ranking concept and 12 candidates."""
    return create_annotation_project(tmp_path / "project", {"klara": "ranking"})


def shown(page) -> list[str]:
    """The ids of the pictures in the order of their numbers."""
    expect(page.locator(".pic")).to_have_count(5)
    sources = page.locator(".pic img").evaluate_all(
        "all => all.map(one => [one.closest('.pic-button').dataset.picture, one.src]).sort()"
    )
    return [source.split("/")[-1].split("?")[0] for _, source in sources]


def kept(office):
    (row,) = office.judgements(counting=True)
    return [list(group) for group in row.groups], list(row.not_applicable)


def drag(page, number: int, place: str) -> None:
    """Drag the picture of that number onto a place by the mouse."""
    start = page.locator(f".pic-button[data-picture='{number - 1}']").bounding_box()
    end = page.locator(f".slot[data-place='{place}']").bounding_box()
    page.mouse.move(start["x"] + 30, start["y"] + 30)
    page.mouse.down()
    page.mouse.move(start["x"] + 60, start["y"] + 60, steps=3)
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] - 12, steps=6)
    page.mouse.up()


def test_numbers_place_the_picture_in_focus_equal_numbers_tie_and_x_does_not_apply(office, serve, person):
    page = person(serve(office), path="/judge/klara")
    a, b, c, d, e = shown(page)
    for key in "2x44":
        page.keyboard.press(key)
    page.keyboard.press("Enter")  # one has no place yet: nothing is saved
    page.wait_for_timeout(200)
    assert office.judgements() == []
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_function("old => !document.querySelector('.pic img').src.includes(old)", arg=a)
    wait_until_saved(page)
    assert kept(office) == ([[e], [a], [c, d]], [b])


def test_a_picture_can_be_taken_back_by_keys_and_reached_by_arrows(office, serve, person):
    page = person(serve(office), path="/judge/klara")
    ids = shown(page)
    for key in "12345":
        page.keyboard.press(key)
    expect(page.locator("#save")).to_have_attribute("aria-disabled", "false")
    page.locator(".pic-button[data-picture='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Backspace")
    expect(page.locator(".tray .pic")).to_have_count(1)
    expect(page.locator(".pic-button[data-picture='1']")).to_be_focused()
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    wait_until_saved(page)
    assert kept(office) == ([[ids[0]], [ids[2]], [ids[3]], [ids[1], ids[4]]], [])


def test_dragging_places_pictures_and_moves_them_again(office, serve, person):
    page = person(serve(office), path="/judge/klara")
    ids = shown(page)
    for number, place in ((1, "1"), (2, "1"), (3, "3"), (4, "none"), (5, "5"), (3, "2"), (4, "tray"), (4, "4")):
        drag(page, number, place)
    page.click("#save")
    wait_until_saved(page)
    assert kept(office) == ([ids[:2], [ids[2]], [ids[3]], [ids[4]]], [])


def test_a_finger_drags_and_taps_on_a_phone(office, serve, person):
    page = person(
        serve(office), path="/judge/klara", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )  # fmt: skip
    ids = shown(page)
    finger = page.context.new_cdp_session(page)
    start = page.locator(".pic-button[data-picture='0']").bounding_box()
    end = page.locator(".slot[data-place='2']").bounding_box()
    x, y = start["x"] + 20, start["y"] + 20

    def touch(kind, *points):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})

    touch("touchStart", (x, y))
    for step in range(1, 9):
        touch("touchMove", (x + 8 * step, y + (end["y"] + 40 - y) * step / 8))
    touch("touchEnd")
    expect(page.locator(".slot[data-place='2'] .pic")).to_have_count(1)
    for number, place in ((2, "1"), (3, "3"), (4, "3")):
        page.tap(f".pic-button[data-picture='{number - 1}']")
        page.locator(f".slot[data-place='{place}']").tap(position={"x": 40, "y": 12})
    page.tap(".pic-button[data-picture='4']")
    page.locator(".slot[data-place='none']").scroll_into_view_if_needed()
    page.locator(".slot[data-place='none']").tap(position={"x": 40, "y": 12})
    page.tap("#save")
    wait_until_saved(page)
    assert kept(office) == ([[ids[1]], [ids[0]], [ids[2], ids[3]]], [ids[4]])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_undo_brings_the_order_back_and_a_new_one_supersedes(office, serve, person):
    page = person(serve(office), path="/judge/klara")
    ids = shown(page)
    for key in "12345":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_function("old => !document.querySelector('.pic img').src.includes(old)", arg=ids[0])
    page.keyboard.press("u")
    assert shown(page) == ids
    for n in range(5):
        expect(page.locator(f".slot[data-place='{n + 1}'] .pic-button[data-picture='{n}']")).to_be_visible()
    page.locator(".pic-button[data-picture='4']").focus()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_until_saved(page)
    assert kept(office) == ([[ids[0], ids[4]], [ids[1]], [ids[2]], [ids[3]]], [])
    assert len(office.judgements()) == 2


def test_each_picture_is_revealed_alone_or_all_together(office, serve, person):
    page = person(serve(office), path="/judge/klara")
    shown(page)
    blurred = page.locator(".pic img.blurred")
    expect(blurred).to_have_count(5)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("r")
    expect(blurred).to_have_count(4)
    page.locator(".eye").nth(3).click()
    expect(blurred).to_have_count(3)
    page.keyboard.press("Shift+R")
    expect(blurred).to_have_count(5)
    page.keyboard.press("z")
    expect(page.locator("#enlarged img")).to_be_visible()


def test_the_reference_gallery_stands_beside_the_pictures(office, serve, person):
    gallery = office.folder / "reference"
    gallery.mkdir()
    for n, picture in enumerate(sorted((office.folder / "candidates/klara/pictures").iterdir())[:3]):
        (gallery / f"{n}.png").write_bytes(picture.read_bytes())
    (gallery / "notes.txt").write_text("no picture")
    office.edit(gallery={"klara": "reference"})
    page = person(serve(office), path="/judge/klara")
    thumbs = page.locator(".gallery img")
    expect(thumbs).to_have_count(3)
    page.wait_for_function("() => [...document.querySelectorAll('.gallery img')].every((one) => one.naturalWidth > 0)")
    page.locator(".thumb").first.click()
    expect(page.locator("#enlarged img")).to_be_visible()
