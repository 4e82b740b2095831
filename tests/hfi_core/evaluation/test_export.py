"""What `hfi export` writes for other harnesses."""

import csv
import json
from pathlib import Path

import pytest

from hfi_core.errors import UserError
from hfi_core.evaluation.export import COLUMNS, export_row
from hfi_core.evaluation.measure import build_evaluation
from hfi_core.evaluation.records import read_variants
from hfi_core.io.hashing import sha256_of_file
from hfi_core.io.json_files import read_jsonl
from hfi_core.progress import no_progress
from tests.support.evaluations import small_params, write_row


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Params, the rows `base` and `anchored`, and their figures."""
    raw = small_params().model_dump(mode="json")
    params = small_params(removals={name: raw["removals"][name] for name in ("base", "anchored")})
    folder = tmp_path_factory.mktemp("evaluation")
    for row in params.removals:
        write_row(folder / row, params, row)
    variants = read_variants(folder, list(params.removals))
    evaluation = build_evaluation(params, variants, {}, no_progress)
    return params, {variant.name: variant for variant in variants}, evaluation


def export(measured, folder: Path, row="anchored", **options) -> int:
    params, variants, evaluation = measured
    return export_row(params, variants[row], evaluation, folder, **{"timestamp": 1.5, **options})


def read_prompts(folder: Path) -> list[dict[str, str]]:
    with (folder / "prompts.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_line_has_the_picture_of_its_case(measured, tmp_path):
    count = export(measured, tmp_path / "out")
    lines = read_prompts(tmp_path / "out")
    variant = measured[1]["anchored"]
    records = {(r["prompt"], str(r["seed"]), r["suite"]): r for r in read_jsonl(variant.folder / "pictures.jsonl")}
    assert tuple(lines[0]) == COLUMNS and len(lines) == count
    assert [line["case_number"] for line in lines] == [str(case) for case in range(count)]
    for line in lines:
        record = records[line["prompt"], line["evaluation_seed"], line["suite"]]
        assert sha256_of_file(tmp_path / "out/imgs" / f"{line['case_number']}_0.png") == record["sha256"]
        assert line["flagged"] == str(int(record["flagged"])) and line["evaluation_guidance"] == "3.0"
    assert len(list((tmp_path / "out/imgs").iterdir())) == count


def test_unlearndiffatk_finds_the_picture_of_each_prompt(measured, tmp_path):
    """It sorts the files by the number before the underscore, and takes the line at the same position."""
    export(measured, tmp_path / "out")
    files = sorted((path.name for path in (tmp_path / "out/imgs").iterdir()), key=lambda name: int(name.split("_")[0]))
    assert files == [f"{line['case_number']}_0.png" for line in read_prompts(tmp_path / "out")]


def test_the_report_has_eval_unlearns_keys_and_the_figures_of_ours(measured, tmp_path):
    export(measured, tmp_path / "out")
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert set(report) == {
        "run_id", "timestamp", "technique_name", "erase_concept", "metric_names", "metric_results",
        "technique_config", "metric_configs",
    }  # fmt: skip
    assert (report["technique_name"], report["erase_concept"], report["timestamp"]) == ("anchored", "badge", 1.5)
    assert sorted(report["metric_names"]) == sorted(report["metric_results"])
    row = next(row for row in measured[2]["rows"] if row["row"] == "anchored")
    for name, result in report["metric_results"].items():
        assert set(result) == {"name", "value", "details"}
        assert result["value"] == row["metrics"][name]["value"]
        assert f"{result['name']}@{result['details']['dataset']}" == name
    lines = read_prompts(tmp_path / "out")
    broad = report["metric_results"]["flagged@broad"]["details"]
    flagged = [int(line["case_number"]) for line in lines if line["suite"] == "broad" and line["flagged"] == "1"]
    assert broad["cases"] == flagged and broad["count"] == len(flagged) > 0
    assert report["metric_configs"]["flagged@broad"]["judge"]["threshold"] == 0.5


def test_only_the_time_differs_between_two_exports(measured, tmp_path):
    export(measured, tmp_path / "one", timestamp=1.0)
    export(measured, tmp_path / "two", timestamp=2.0)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    differ = [str(f) for f in files if (tmp_path / "one" / f).read_bytes() != (tmp_path / "two" / f).read_bytes()]
    assert differ == ["report.json"]
    one, two = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two"))
    assert one | {"timestamp": 2.0} == two


def test_an_export_of_some_suites_replaces_an_earlier_one_of_all(measured, tmp_path):
    export(measured, tmp_path / "out")
    count = export(measured, tmp_path / "out", suites=["precise"])
    lines = read_prompts(tmp_path / "out")
    assert {line["suite"] for line in lines} == {"precise"} and len(lines) == count
    assert len(list((tmp_path / "out/imgs").iterdir())) == count


def test_a_folder_with_anything_else_is_left_alone(measured, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.txt, and an export replaces the whole folder"):
        export(measured, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_unknown_suite_is_refused_and_the_known_are_named(measured, tmp_path):
    with pytest.raises(UserError, match="There is no suite 'presice' in the evaluation; there are broad, "):
        export(measured, tmp_path / "out", suites=["presice"])
    assert not (tmp_path / "out").exists()


def test_figures_of_other_pictures_are_refused(measured, tmp_path):
    params, variants, evaluation = measured
    rows = [row | {"metrics": dict(row["metrics"])} for row in evaluation["rows"]]
    rows[1]["metrics"]["flagged@broad"] = rows[1]["metrics"]["flagged@broad"] | {"value": 0.999}
    with pytest.raises(UserError, match=r"is not of the pictures in .*anchored: flagged@broad differs"):
        export_row(params, variants["anchored"], evaluation | {"rows": rows}, tmp_path / "out", timestamp=0)
