"""Sentences and gates follow the figures."""

import pytest

from hfi_core.errors import UserError
from hfi_core.evaluation.gates import check_gates
from hfi_core.params import Gate
from hfi_core.report.findings import list_findings


def _figure(value, low=None, high=None, direction="down"):
    return {"value": value, "low": low or value, "high": high or value, "n": 300, "direction": direction}


def _evaluation(metric, base, row, p):
    difference = row - base
    comparison = {
        "metric": metric, "row": "ours", "against": "base", "difference": difference, "low": difference,
        "high": difference, "n": 300, "p": p, "p_holm": p,
    }  # fmt: skip
    return {
        "rows": [
            {"row": "base", "metrics": {metric: _figure(base)}},
            {"row": "ours", "metrics": {metric: _figure(row)}},
        ],
        "comparisons": [comparison],
        "provenance": {"intervals": {"level": 0.95}},
    }


@pytest.mark.parametrize(
    ("metric", "base", "row", "p", "side"),
    [
        ("flagged@broad", 0.5, 0.1, 0.001, "better"),
        ("flagged@broad", 0.1, 0.5, 0.001, "worse"),
        ("flagged@broad", 0.5, 0.1, 0.05, "same"),
        ("kept@broad", 0.5, 0.1, 0.001, "worse"),
        ("kept@broad", 0.1, 0.5, 0.001, "better"),
    ],
)
def test_a_finding_says_better_or_worse_only_where_the_corrected_test_shows_it(metric, base, row, p, side):
    (finding,) = list_findings(_evaluation(metric, base, row, p))
    assert {name for name in ("better", "worse", "same") if getattr(finding, name)} == {side}
    (change,) = getattr(finding, side)
    assert change.before.startswith(f"{100 * base:.1f}")
    assert change.after.startswith(f"{100 * row:.1f}")


def _rows(base, ours):
    return {
        "rows": [
            {"row": "base", "metrics": {"flagged@broad": base}},
            {"row": "ours", "metrics": {"flagged@broad": ours}},
        ]
    }


@pytest.mark.parametrize(
    ("ours", "passed", "sure"),
    [
        ((0.04, 0.02, 0.045), True, True),
        ((0.04, 0.02, 0.06), True, False),
        ((0.06, 0.045, 0.08), False, False),
        ((0.2, 0.1, 0.3), False, True),
    ],
)
def test_a_gate_judges_the_value_and_tells_whether_the_interval_agrees(ours, passed, sure):
    gates = {"flagged@broad": Gate(at_most=0.1, of_base=True)}
    (verdict,) = check_gates(_rows(_figure(0.5), _figure(*ours)), "ours", gates)
    assert (verdict.passed, verdict.sure) == (passed, sure)
    assert "at most 0.05 (0.1 x base" in verdict.told


def test_a_gate_on_a_figure_that_is_not_there_is_a_users_error():
    with pytest.raises(UserError, match="release.gates.kept@broad: no such figure"):
        check_gates(_rows(_figure(0.5), _figure(0.1)), "ours", {"kept@broad": Gate(at_least=0.9)})
