"""Rates of a judge that gives scores, over thresholds."""

import numpy as np
import pytest

from hfi_core.errors import UserError
from hfi_core.evaluation.comparison import measure_difference
from hfi_core.evaluation.measure import build_evaluation, measure_variant
from hfi_core.evaluation.records import FEATURES, RECORDS, read_variants
from hfi_core.evaluation.thresholds import decide_at, list_thresholds
from hfi_core.io.json_files import read_jsonl, write_jsonl
from hfi_core.progress import no_progress
from hfi_core.report.plots import PlotData, draw_plots
from hfi_core.report.thresholds import build_threshold_table
from tests.support.evaluations import small_params, write_row

OPERATING = 0.42


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Params and two rows that a judge gave scores, and no `correct`."""
    raw = small_params().model_dump(mode="json")
    raw["evaluate"]["judge"]["threshold"] = OPERATING
    params = small_params(
        evaluate=raw["evaluate"], removals={name: raw["removals"][name] for name in ("base", "anchored")}
    )
    folder = tmp_path_factory.mktemp("evaluation")
    for row in params.removals:
        write_row(folder / row, params, row)
        rng = np.random.default_rng(len(row))
        records = read_jsonl(folder / row / RECORDS)
        for record in records:
            flagged, accepted = np.round(rng.random(2), 6).tolist()
            record["scores"] = {"flagged": flagged, "accepted": accepted}
            record["flagged"] = flagged >= OPERATING
            record["kept"] = accepted >= OPERATING > flagged
            record |= {"correct": None, "kind": None}
        write_jsonl(folder / row / RECORDS, records)
        assert (folder / row / FEATURES).exists()
    return params, read_variants(folder, list(params.removals))


@pytest.fixture(scope="module")
def evaluation(scored):
    return build_evaluation(*scored, {}, no_progress)


def test_a_picture_is_flagged_from_its_score_on_and_kept_from_its_other_score_on_if_it_is_not_flagged():
    scores = [{"flagged": f, "accepted": a} for f, a in ((0.5, 0.9), (0.4, 0.5), (0.4, 0.4), (0.0, 0.0))]
    assert decide_at("flagged", scores, 0.5).tolist() == [True, False, False, False]
    assert decide_at("kept", scores, 0.5).tolist() == [False, True, False, False]
    assert decide_at("kept", scores, 0.4).tolist() == [False, False, False, False]


def test_the_operating_point_is_one_of_the_thresholds():
    assert OPERATING in list_thresholds(OPERATING) and list_thresholds(0.5) == sorted(set(list_thresholds(0.5)))
    assert {0.25, 0.45, 0.5, 0.6, 0.75} < set(list_thresholds(OPERATING)), "those of published tables"


def test_every_rate_is_a_curve_and_its_operating_point_is_the_figure(evaluation):
    assert evaluation["operating_threshold"] == OPERATING
    for row in evaluation["rows"]:
        rates = {name for name in row["metrics"] if name.split("@")[0] in ("flagged", "kept")} - {
            "flagged@worst_attack"
        }
        assert set(row["thresholds"]) == rates and "flagged@reinverted" in rates
        for metric, points in row["thresholds"].items():
            (named,) = [point for point in points if point["threshold"] == OPERATING]
            figure = row["metrics"][metric]
            assert {key: named[key] for key in ("value", "low", "high", "n")} == {
                key: figure[key] for key in ("value", "low", "high", "n")
            }


def test_a_curve_of_flagged_pictures_never_rises_and_each_point_has_an_interval(evaluation):
    for row in evaluation["rows"]:
        values = [point["value"] for point in row["thresholds"]["flagged@broad"]]
        assert values == sorted(values, reverse=True) and values[0] > values[-1]
        assert all(point["low"] <= point["value"] <= point["high"] for point in row["thresholds"]["kept@broad"])


def test_a_judge_without_scores_has_no_curves(tmp_path):
    params = small_params()
    write_row(tmp_path / "base", params, "base")
    (base,) = read_variants(tmp_path, ["base"])
    assert "thresholds" not in measure_variant(params, base, base)


def test_a_judge_that_does_not_read_prompts_has_no_figure_of_it_instead_of_a_zero(scored, evaluation):
    assert not [
        name for row in evaluation["rows"] for name in row["metrics"] if name.startswith(("correct@", "kinds@"))
    ]
    compared = {comparison["metric"] for comparison in evaluation["comparisons"]}
    assert "kept@broad" in compared and "correct@unrelated" not in compared
    params, (base, anchored) = scored
    with pytest.raises(UserError, match="correct@unrelated: the judge does not compare pictures with prompts"):
        measure_difference(params, "correct@unrelated", anchored.records, base.records)


def test_the_plots_and_the_table_show_the_curves_and_name_the_operating_point(evaluation):
    plots = draw_plots(PlotData(evaluation, {}, {}))
    assert "threshold" in plots["thresholds"] and "kept@broad" in plots["thresholds"]
    assert "correct@unrelated" not in plots["removal"] + plots["rows"]
    header, *lines = build_threshold_table(evaluation)
    assert "0.42 (operating point)" in header and len(lines) == 2 * len(evaluation["rows"][0]["thresholds"])
    point = next(p for p in evaluation["rows"][1]["thresholds"]["flagged@broad"] if p["threshold"] == 0.75)
    line = next(line for line in lines if line[:2] == ["flagged@broad", "anchored"])
    assert line[header.index("0.75")].startswith(f"{100 * point['value']:.1f}")
