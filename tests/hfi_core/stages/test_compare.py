"""The compare stage on hand-made evaluations."""

import csv
import html.parser
import json
import re
import shutil
from xml.etree import ElementTree

import pytest
from PIL import Image

from hfi_core.errors import UserError
from hfi_core.evaluation.records import PROVENANCE
from hfi_core.io.hashing import sha256_of_file, sha256_of_folder
from hfi_core.io.json_files import write_json
from hfi_core.pipeline.stage import StageContext
from hfi_core.report.table import build_comparison_table
from hfi_core.stages import compare
from tests.support.evaluations import Files, small_params, with_attack, write_files


@pytest.fixture(scope="module")
def params():
    return small_params()


@pytest.fixture(scope="module")
def files(params, tmp_path_factory):
    files = write_files(tmp_path_factory.mktemp("compare"), params)
    compare.run(StageContext(params, files.inputs, files.outputs()))
    return files


@pytest.fixture(scope="module")
def page(files):
    return files.outputs()["page"].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def evaluation(files):
    return json.loads(files.outputs()["evaluation"].read_text())


def _digests(outputs):
    return {name: (sha256_of_folder if path.is_dir() else sha256_of_file)(path) for name, path in outputs.items()}


def test_running_twice_gives_the_same_bytes_and_returns_the_released_rows_figures(params, files, evaluation):
    found = compare.run(StageContext(params, files.inputs, files.outputs("again")))
    assert _digests(files.outputs("again")) == _digests(files.outputs())
    metrics = next(row["metrics"] for row in evaluation["rows"] if row["row"] == params.release.row)
    assert found == {metric: figure["value"] for metric, figure in metrics.items()}


def test_the_page_has_the_shares_on_prompts_that_nothing_was_trained_on(page, evaluation):
    assert evaluation["unseen"]["suites"] == {"broad": {"prompts": 24, "trained": 8}}
    assert "They are 8 of the 24 prompts of broad. The table has the shares on the others." in page
    unseen = evaluation["unseen"]["rows"]["anchored"]["flagged@broad"]
    assert f"{unseen['value']:.3f} [{unseen['low']:.3f}, {unseen['high']:.3f}]" in page.partition('id="unseen"')[2]


def test_the_page_says_what_each_attacker_gets_where_there_are_several(params, page, tmp_path):
    attacked = with_attack(params, attackers=2)
    files = write_files(tmp_path, attacked)
    compare.run(StageContext(attacked, files.inputs, files.outputs()))
    base, *_ = json.loads(files.outputs()["evaluation"].read_text())["rows"]
    text = files.outputs()["page"].read_text(encoding="utf-8")
    line = re.search(r"<code>badge\.2</code></td><td>(.*?)</td>", text)
    assert line[1] == f"{100 * base['attacks']['reinverted']['attackers']['badge.2']:.1f}\u202f%"
    assert "Results of each attacker" in text and "Results of each attacker" not in page


def test_the_page_has_the_attacks_and_says_which_is_not_calibrated(evaluation, page):
    assert "<code>flagged@reinverted</code>" in page and not evaluation["attacks"]["reinverted"]["calibrated"]
    assert "The attack reinverted is not calibrated" in page and "1 of 1 attacks is not calibrated on the base" in page


def test_the_page_plots_the_steps_of_attackers_with_looks(params, page, tmp_path):
    looked = with_attack(params, looks=[50])
    files = write_files(tmp_path, looked)
    compare.run(StageContext(looked, files.inputs, files.outputs()))
    assert (files.outputs()["plots"] / "attackers_steps.svg").exists()
    caption = "over the steps of the attackers"
    assert caption in files.outputs()["page"].read_text(encoding="utf-8") and caption not in page


def test_without_attacks_there_are_no_figures_of_them(params, tmp_path):
    plain = params.model_copy(update={"attacks": {}})
    files = write_files(tmp_path, plain)
    compare.run(StageContext(plain, files.inputs, files.outputs()))
    evaluation = json.loads(files.outputs()["evaluation"].read_text())
    assert evaluation["attacks"] == {} and "worst_attack" not in evaluation["rows"][0]
    text = files.outputs()["page"].read_text(encoding="utf-8")
    assert "Attacks</h3>" not in text and "worst_attack" not in text.split('id="definitions"')[0]


def test_the_page_says_where_rows_were_not_evaluated_alike(params, files, page, tmp_path):
    mixed = Files(shutil.copytree(files.folder, tmp_path / "mixed"))
    path = mixed.folder / "evaluation/anchored" / PROVENANCE
    write_json(path, json.loads(path.read_text()) | {"versions": {"torch": "2.2"}})
    compare.run(StageContext(params, mixed.inputs, mixed.outputs()))
    text = mixed.outputs()["page"].read_text(encoding="utf-8")
    assert "Rows were evaluated with different versions." in text and "rows.anchored.versions.torch" in text
    assert "Rows were" not in page


def test_the_flat_metrics_and_the_csv_say_what_the_evaluation_says(files, evaluation):
    metrics = json.loads(files.outputs()["metrics"].read_text())
    with files.outputs()["table"].open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == ["row", "method", "condition", "metric", "value", "low", "high", "n", "direction"]
    assert len(lines) == sum(len(row["metrics"]) for row in evaluation["rows"])
    values = {(line["row"], line["metric"]): float(line["value"]) for line in lines}
    for row in evaluation["rows"]:
        for metric, figure in row["metrics"].items():
            assert metrics[row["row"]][metric] == figure["value"] == values[row["row"], metric]


def test_the_table_of_strings_has_a_line_a_row(evaluation):
    header, *lines = build_comparison_table(evaluation, ["flagged@broad", "kept@broad"])
    assert header == ["row", "flagged@broad", "kept@broad"]
    assert [line[0] for line in lines] == ["base", "sdd-text", "sdd-token", "anchored"]
    assert all(re.fullmatch(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", cell) for line in lines for cell in line[1:])


class _Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.classes = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.classes += (attributes.get("class") or "").split()
        self.addresses += [attributes[key] for key in ("src", "srcset", "href") if key in attributes]


def test_the_page_is_one_file_with_neither_script_nor_anything_to_fetch(page):
    parsed = _Page()
    parsed.feed(page)
    assert "script" not in parsed.tags
    assert all(address.startswith(("data:image/", "#")) for address in parsed.addresses)
    assert "url(" not in page
    assert parsed.tags.count("img") == 7 * 4 * 12 + 4
    assert "flagged" in parsed.classes


def test_the_page_says_that_feedback_is_simulated_only_where_it_is(page, params, tmp_path):
    assert "Feedback is simulated" in page
    real = write_files(tmp_path, params, simulated=False)
    compare.run(StageContext(params, real.inputs, real.outputs()))
    text = real.outputs()["page"].read_text(encoding="utf-8")
    assert "imulated" not in text.split('id="provenance"')[0]
    assert 'id="blur" checked' in text  # people's own objectionable pictures are blurred until somebody asks
    assert 'id="blur" checked' not in page


def test_the_page_tells_every_gate_and_counts_the_failed_ones(params, files, page):
    assert all(f"<code>{metric}</code>" in page for metric in params.release.gates)
    gates = {"readable@broad": {"at_most": 0.1}, "kept@broad": {"at_least": 0.1}}
    strict = small_params(release={"row": "anchored", "model": "strict", "lora": None, "gates": gates})
    compare.run(StageContext(strict, files.inputs, files.outputs("strict")))
    assert "anchored fails 1 of 2 gates." in files.outputs("strict")["page"].read_text(encoding="utf-8")


def test_what_users_wrote_is_escaped(files, params, tmp_path):
    raw = params.model_dump(mode="json")
    raw["concepts"]["badge"] |= {"text": "<b>", "prompts": ["a <b>"]}
    hostile = small_params(concepts=raw["concepts"])
    written = write_files(tmp_path, hostile)
    compare.run(StageContext(hostile, written.inputs, written.outputs()))
    assert "“<b>”" not in written.outputs()["page"].read_text(encoding="utf-8")


def test_plots_are_whole_pictures_and_hold_no_date(files):
    folder = files.outputs()["plots"]
    names = {path.name for path in folder.iterdir()}
    assert names == {"banner.png", "losses.svg", "removal.csv", "removal.svg", "reward.svg", "rows.svg"}
    for path in folder.glob("*.svg"):
        ElementTree.parse(path)
        assert "<dc:date>" not in path.read_text()
    with Image.open(folder / "banner.png") as banner:
        banner.load()
        assert banner.width > banner.height


def test_a_missing_row_is_a_users_error_that_leaves_earlier_reports(params, files):
    before = _digests(files.outputs())
    removals = params.model_dump(mode="json")["removals"]
    unknown = small_params(removals=removals | {"other": removals["sdd-text"]})
    with pytest.raises(UserError, match="other"):
        compare.run(StageContext(unknown, files.inputs, files.outputs()))
    assert _digests(files.outputs()) == before
