"""What a test looks for on the page."""

from playwright.sync_api import Page, expect


def shown_picture(page: Page) -> str:
    """The id of the picture that is shown."""
    expect(page.locator("#work")).to_be_visible()
    return page.locator("#shown").get_attribute("src").split("/")[-1].split("?")[0]


def is_asking(page: Page) -> bool:
    """Whether a question is shown, once the page has one or says that there is none."""
    expect(page.locator("#work:visible, #panel[data-name]:visible").first).to_be_visible()
    return page.locator("#work").is_visible()


def press_answers(page: Page, *keys: str) -> list[str]:
    """Press keys, each on the picture that is there then; the pictures that were judged."""
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
