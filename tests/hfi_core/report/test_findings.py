"""Findings and gate results follow the figures."""

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
        ("flagged@broad", 0.5, 0.1, 0.05, "inconclusive"),
        ("kept@broad", 0.5, 0.1, 0.001, "worse"),
        ("kept@broad", 0.1, 0.5, 0.001, "better"),
    ],
)
def test_a_finding_says_better_or_worse_only_if_the_corrected_test_is_significant(metric, base, row, p, side):
    (finding,) = list_findings(_evaluation(metric, base, row, p))
    assert {name for name in ("better", "worse", "inconclusive") if getattr(finding, name)} == {side}
    (figure,) = getattr(finding, side)
    assert figure.reference_value.startswith(f"{100 * base:.1f}")
    assert figure.value.startswith(f"{100 * row:.1f}")


def _rows(base, ours):
    return {
        "rows": [
            {"row": "base", "metrics": {"flagged@broad": base}},
            {"row": "ours", "metrics": {"flagged@broad": ours}},
        ]
    }


@pytest.mark.parametrize(
    ("ours", "passed", "conclusive"),
    [
        ((0.04, 0.02, 0.045), True, True),
        ((0.04, 0.02, 0.06), True, False),
        ((0.06, 0.045, 0.08), False, False),
        ((0.2, 0.1, 0.3), False, True),
    ],
)
def test_a_gate_checks_the_value_and_says_whether_the_interval_agrees(ours, passed, conclusive):
    gates = {"flagged@broad": Gate(at_most=0.1, of_base=True)}
    (result,) = check_gates(_rows(_figure(0.5), _figure(*ours)), "ours", gates)
    assert (result.passed, result.conclusive) == (passed, conclusive)
    assert "at most 0.05 (0.1 x base" in result.description


def test_a_gate_on_an_unknown_figure_raises_a_user_error():
    with pytest.raises(UserError, match="release.gates.kept@broad: no such figure"):
        check_gates(_rows(_figure(0.5), _figure(0.1)), "ours", {"kept@broad": Gate(at_least=0.9)})
