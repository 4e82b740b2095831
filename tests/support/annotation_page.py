"""What the browser tests read from the page, and the keys that they press."""

from playwright.sync_api import Page, expect


def shown_picture(page: Page) -> str:
    """Return the id of the shown picture."""
    expect(page.locator("#work")).to_be_visible()
    return page.locator("#shown").get_attribute("src").split("/")[-1].split("?")[0]


def is_asking(page: Page) -> bool:
    """Return whether the page shows a question, after waiting for a question or a message."""
    expect(page.locator("#work:visible, #panel[data-name]:visible").first).to_be_visible()
    return page.locator("#work").is_visible()


def press_answers(page: Page, *keys: str) -> list[str]:
    """Press keys, one for each picture, and return the ids of the judged pictures."""
    seen = []
    for key in keys:
        seen.append(shown_picture(page))
        page.keyboard.press(key)
        page.wait_for_function(
            "old => { const at = document.getElementById('shown')?.src ?? ''; "
            "return !at.includes(`/${old}?`) || !document.getElementById('panel').hidden; }",
            arg=seen[-1],
        )
    return seen


def wait_until_saved(page: Page) -> None:
    """Wait until everything is saved."""
    expect(page.locator("#status")).to_have_attribute("data-state", "saved")
    page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('hfi-outbox:'))")
