"""The lead's page in a real browser: pictures stay covered until asked for, and a decision needs no mouse."""

import pytest

from hfi_core.feedback.schema import ADJUDICATION_PREFIX, BinaryJudgement
from hfi_core.feedback.store import open_store
from tests.support.annotation_server import read_candidates, serving, write_project

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture
def disputed(tmp_path):
    folder = write_project(tmp_path / "project")
    with open_store(f"sqlite:///{folder / 'feedback.db'}") as store:
        for picture in read_candidates(folder)[:3]:
            for annotator, answer in (("a-one", "yes"), ("a-two", "no")):
                store.add(
                    BinaryJudgement(
                        id=f"{annotator}.{picture.id}", annotator=annotator, concept="badge", kind="binary",
                        picture=picture.id, sha256=picture.sha256, answer=answer, note="<b>looks</b> like one",
                    )
                )  # fmt: skip
    return folder


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_a_lead_looks_and_decides_by_keyboard(disputed, screen, chromium, forked):
    complaints = []
    with serving(disputed, forked) as server, chromium.new_context(**screen) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.goto(f"{server.address}/review/badge")
        page.fill("input[name=name]", "Lea")
        page.press("input[name=name]", "Enter")
        page.wait_for_url("**/welcome")
        page.check("input[name=agree]")
        page.click("form.consent button")
        page.wait_for_url(f"{server.address}/")
        page.click("a[href='/review']")
        page.click("a[href='/review/badge']")
        page.wait_for_url("**/review/badge")
        page.wait_for_load_state("networkidle")  # the script has taken hold of the buttons

        cover = page.locator("[data-cover]").first
        covered = "getComputedStyle(document.querySelector('[data-cover] img')).filter"
        assert "blur" in page.evaluate(covered) and "grayscale" in page.evaluate(covered)
        cover.focus()
        page.keyboard.press("Enter")
        assert page.evaluate(covered) == "none" and cover.get_attribute("aria-pressed") == "true"
        page.keyboard.press("Space")
        assert "blur" in page.evaluate(covered)

        assert page.locator("b").count() == 0, "a note was taken for markup"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        small = (
            "[...document.querySelectorAll('.dispute button')].filter(one => one.getBoundingClientRect().height < 44)"
        )
        assert page.evaluate(f"{small}.length") == 0
        page.locator("button[value=no]").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".dispute.decided")
        assert page.locator(".dispute.decided").count() == 1
    assert complaints == []
    with open_store(f"sqlite:///{disputed / 'feedback.db'}") as store:
        (decided,) = [one for one in store.read_judgements("badge") if one.id.startswith(ADJUDICATION_PREFIX)]
    assert decided.answer == "no"
