"""Techniques are read at equal removal: between two points, never beyond them, with intervals that hold the value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.evaluation.curves import build_curves, interpolate_at, list_shown_rows
from hfi_core.evaluation.measure import build_evaluation
from hfi_core.evaluation.records import read_variants
from hfi_core.metrics.paired_tests import holm
from hfi_core.params import parse_params
from hfi_core.progress import no_progress
from tests.support.evaluations import CHANCES, small_params, write_files

SHARE = st.floats(0, 1, allow_subnormal=False)
SHARES = st.lists(st.tuples(SHARE, SHARE), min_size=2, max_size=6)
CURVES = {
    "sdd-text": [["text-weak", "text-strong"], ["text-weak-b", "text-strong-b"]],
    "sdd-token": [["token-weak", "token-strong"], ["token-weak-b", "token-strong-b"]],
    "uce-text": [["uce-weak", "uce-strong"]],
}


def literal_interpolation(flagged, shares, level):
    """The same in plain words: walk along the curve to the first point that is low enough."""
    if flagged[0] <= level:
        return math.nan
    for (x0, y0), (x1, y1) in zip(
        zip(flagged, shares, strict=True), zip(flagged[1:], shares[1:], strict=True), strict=False
    ):
        if x1 <= level:
            return y0 + (y1 - y0) * (x0 - level) / (x0 - x1)
    return math.nan


@given(st.lists(SHARES, min_size=1, max_size=5), SHARE)
def test_interpolation_is_that_of_its_description(curves, level):
    points = min(map(len, curves))
    flagged, shares = np.array([curve[:points] for curve in curves]).transpose(2, 0, 1)
    found = interpolate_at(flagged, shares, np.full(len(curves), level))
    expected = [literal_interpolation(x, y, level) for x, y in zip(flagged, shares, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(SHARES, st.floats(0, 1), st.floats(0, 1))
def test_a_falling_curve_is_read_monotonically_and_never_beyond_its_points(points, one, other):
    flagged, shares = (np.sort(values)[::-1] for values in np.array(points).T)
    near, far = sorted((one, other), reverse=True)
    found = interpolate_at(np.array([flagged, flagged]), np.array([shares, shares]), np.array([near, far]))
    reached = np.isfinite(found)
    assert list(reached) == [flagged[-1] <= level < flagged[0] for level in (near, far)]
    assert np.all((shares[-1] - 1e-9 <= found[reached]) & (found[reached] <= shares[0] + 1e-9))
    assert not reached.all() or found[0] >= found[1] - 1e-9


def curve_params(**changes):
    raw = small_params().model_dump(mode="json")
    sdd, uce = raw["removals"]["sdd-text"], {"method": "uce", "condition": "text"}
    weak = {"text": sdd, "token": sdd | {"condition": "token"}}
    rows = {f"{name}-weak{b}": row for name, row in weak.items() for b in ("", "-b")}
    rows |= {f"{name}-strong{b}": row | {"rate": 9e-4} for name, row in weak.items() for b in ("", "-b")}
    rows |= {"uce-weak": uce | {"erase_scale": 0.5}, "uce-strong": uce | {"erase_scale": 2.0}}
    raw["removals"] = {"base": raw["removals"]["base"], "anchored": raw["removals"]["anchored"]} | rows
    raw["evaluate"] |= {"curves": CURVES, "removal_levels": {"half": 0.5, "tenth": 0.1}} | changes
    return parse_params(raw)


@pytest.fixture(scope="module")
def params():
    return curve_params()


@pytest.fixture(scope="module")
def variants(params, tmp_path_factory):
    remaining = {"text-weak": 0.8, "text-strong": 0.3, "token-weak": 0.6, "token-strong": 0.02}
    with pytest.MonkeyPatch.context() as patch:
        for row in params.evaluate.rows_of_curves:
            part = remaining.get(row.removesuffix("-b"), 0.7)
            patch.setitem(CHANCES, row, {suite: chance * part for suite, chance in CHANCES["base"].items()})
        files = write_files(tmp_path_factory.mktemp("curves"), params)
    return read_variants(files.inputs["evaluation"], list(params.removals))


@pytest.fixture(scope="module")
def evaluation(params, variants):
    return build_evaluation(params, variants, {"badge": {"feedback_sha256": "", "simulated": True}}, no_progress)


@pytest.fixture(scope="module")
def curves(evaluation):
    return {curve["curve"]: curve for curve in evaluation["curves"]["curves"]}


def test_a_level_that_is_reached_has_the_mean_of_the_repetitions_and_one_that_is_not_has_nothing(evaluation, curves):
    values = {
        row["row"]: {name: figure["value"] for name, figure in row["metrics"].items()} for row in evaluation["rows"]
    }
    half, tenth = curves["sdd-token"]["levels"]
    assert half["flagged"] == pytest.approx(values["base"]["flagged@broad"] / 2, abs=1e-6)
    for metric in ("kept@broad", "kept@neighbours", "correct@unrelated", "flagged@reinverted"):
        expected = [
            literal_interpolation(
                *([values[row][of] for row in ("base", *rows)] for of in ("flagged@broad", metric)), half["flagged"]
            )
            for rows in CURVES["sdd-token"]
        ]
        assert half["metrics"][metric]["value"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert tenth["metrics"]["kept@broad"] is not None and half["nearest"] == "token-weak"
    assert curves["sdd-text"]["levels"][1]["metrics"] == dict.fromkeys(half["metrics"])
    assert all(level["metrics"]["kept@broad"] is None for level in curves["uce-text"]["levels"])
    assert curves["uce-text"]["levels"][1]["resamples_reached"] == 0


def test_every_interval_contains_its_value_and_has_a_length(evaluation, curves):
    shares = [
        share for curve in curves.values() for level in curve["levels"] for share in level["metrics"].values() if share
    ]
    assert len(shares) == 3 * 4
    for share in shares:
        assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1 and share["low"] < share["high"]


def test_points_name_their_strength_and_have_the_figures_of_their_rows(evaluation, curves):
    values = {row["row"]: row["metrics"] for row in evaluation["rows"]}
    points = curves["sdd-text"]["points"]
    assert [(point["row"], point["repetition"]) for point in points] == [
        ("text-weak", 1), ("text-strong", 1), ("text-weak-b", 2), ("text-strong-b", 2),
    ]  # fmt: skip
    assert [point["strength"] for point in points] == ["rate 0.0004", "rate 0.0009"] * 2
    for point in points:
        for metric in ("flagged@broad", "kept@broad", "correct@unrelated", "flagged@worst_attack"):
            assert point[metric] == values[point["row"]][metric]["value"]


def test_the_token_is_compared_with_the_text_where_both_reach_a_level_and_corrected_over_all(evaluation, curves):
    found = evaluation["curves"]["comparisons"]
    assert {(entry["curve"], entry["against"]) for entry in found} == {("sdd-token", "sdd-text")}
    half, tenth = ([entry for entry in found if entry["level"] == level] for level in ("half", "tenth"))
    for entry in half:
        token, text = (
            curves[name]["levels"][0]["metrics"][entry["metric"]]["value"] for name in ("sdd-token", "sdd-text")
        )
        assert entry["difference"] == pytest.approx(token - text, abs=1e-5)
        assert entry["low"] <= entry["difference"] <= entry["high"] and 0 < entry["p"] <= entry["p_holm"] <= 1
    assert [entry["p_holm"] for entry in half] == holm([entry["p"] for entry in half])
    assert len(half) == len(tenth) == 4 and all(entry["difference"] is None and "p" not in entry for entry in tenth)


def test_a_curve_that_is_compared_with_itself_does_not_differ(variants, evaluation):
    """The rows of both curves have the same pictures, so that joint resamples leave nothing of the difference."""
    same = {row.name: row for row in variants}
    twins = [
        same[variant.name] if "token" not in variant.name else type(variant)(
            variant.name, variant.folder, same[variant.name.replace("token", "text")].records, variant.features, {}
        )
        for variant in variants
    ]  # fmt: skip
    single = curve_params(curves={name: rows[:1] for name, rows in CURVES.items()})
    for entry in build_curves(single, twins, evaluation["rows"])["comparisons"]:
        if entry["difference"] is not None:
            assert entry["difference"] == 0 and entry["p"] == 1 and entry["low"] < 0 < entry["high"]


def test_rows_on_curves_are_not_compared_picture_by_picture_and_one_of_each_is_shown(params, evaluation):
    assert {(entry["row"], entry["against"]) for entry in evaluation["comparisons"]} == {("anchored", "base")}
    nearest = {curve["levels"][0]["nearest"] for curve in evaluation["curves"]["curves"]}
    assert list_shown_rows(params, evaluation["curves"]) == [
        row for row in params.removals if row in {"base", "anchored"} | nearest
    ]
    assert all(len(nearest & set(repetitions[0])) == 1 for repetitions in CURVES.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curves": {"one": [["text-weak", "nobody"]]}}, r"evaluate\.curves\.one: 'nobody' is not a removal"),
        ({"curves": {"one": [["base"]]}}, "it is base, where every curve begins anyway"),
        ({"curves": {"one": [["text-weak"]], "two": [["text-weak"]]}}, "'text-weak' is on the curve one already"),
        ({"curves": {"one": [["text-weak", "token-strong"]]}}, "its rows differ in method or condition"),
        ({"curves": {"one": [["text-weak"], ["text-strong"]]}}, "text-strong and text-weak differ in their settings"),
        ({"curves": {}}, "curves are read at removal_levels"),
        ({"removal_levels": {"all": 1.0}}, r"evaluate\.removal_levels\.all: .*less than 1"),
    ],
)
def test_a_curve_of_unfit_rows_is_refused_by_name(changes, message):
    with pytest.raises(UserError, match=message):
        curve_params(**changes)
