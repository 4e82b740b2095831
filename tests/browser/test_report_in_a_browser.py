"""The report's table of curves is sorted by a click or from the keyboard."""

import pytest

from hfi_core.pipeline.stage import StageContext
from hfi_core.stages import compare
from tests.support.chromium import PATIENCE
from tests.support.evaluations import small_params, write_files

LEVELS = "#levels tbody tr"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    raw = small_params().model_dump(mode="json")
    raw["evaluate"] |= {
        "removal_levels": {"most": 0.9, "half": 0.5},
        "curves": {"token": [["sdd-token"]], "anchored": [["anchored"]], "text": [["sdd-text"]]},
    }
    params = small_params(evaluate=raw["evaluate"])
    files = write_files(tmp_path_factory.mktemp("report"), params)
    compare.run(StageContext(params, files.inputs, files.outputs()))
    return files.outputs()["page"]


def test_a_column_sorts_up_then_down_and_what_is_not_reached_stays_last(report, chromium):
    page = chromium.new_page()
    page.set_default_timeout(3 * PATIENCE)
    page.goto(report.as_uri(), wait_until="domcontentloaded")

    def column(number: int) -> list[str]:
        return page.locator(f"{LEVELS} td:nth-child({number})").all_inner_texts()

    names = ["token", "token", "anchored", "anchored", "text", "text"]
    assert column(1) == names
    page.get_by_role("button", name="curve", exact=True).click()
    assert column(1) == sorted(names)
    kept = page.get_by_role("button", name="kept@broad")
    kept.focus()
    page.keyboard.press("Enter")
    values = [float(text.split()[0].rstrip("%")) for text in column(7) if text != "not reached"]
    assert values == sorted(values) and column(7)[len(values) :] == ["not reached"] * (len(names) - len(values))
    assert 1 < len(values) < len(names)
    page.keyboard.press("Enter")
    assert column(7)[: len(values)] != column(7)[len(values) - 1 :: -1] and column(7)[-1] == "not reached"
    assert page.locator("#levels th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.close()
