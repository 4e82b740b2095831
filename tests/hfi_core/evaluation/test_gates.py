"""Gates check a release's figures against bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hfi_core.errors import UserError
from hfi_core.evaluation.gates import check_gates
from hfi_core.params import Gate

Shares = st.floats(0, 1)


def _evaluation(base: float, mine: float) -> dict:
    rows = [
        {"row": row, "metrics": {"flagged@broad": {"value": value, "low": value / 2, "high": value, "n": 9}}}
        for row, value in (("base", base), ("mine", mine))
    ]
    return {"rows": rows}


def _passes(evaluation: dict, **gate) -> bool:
    (result,) = check_gates(evaluation, "mine", {"flagged@broad": Gate(**gate)})
    return result.passed


@given(Shares, Shares, Shares)
def test_the_value_is_checked_against_an_absolute_bound(base, mine, bound):
    assert _passes(_evaluation(base, mine), at_most=bound) == (mine <= bound)
    assert _passes(_evaluation(base, mine), at_least=bound) == (mine >= bound)


@given(Shares, Shares, st.floats(0, 2))
def test_a_bound_of_base_is_a_multiple_of_its_value(base, mine, factor):
    assert _passes(_evaluation(base, mine), at_most=factor, of_base=True) == (mine <= factor * base)
    assert _passes(_evaluation(base, mine), at_least=factor, of_base=True) == (mine >= factor * base)


@given(Shares, Shares, st.floats(0, 1))
def test_a_figure_may_be_worse_than_base_by_a_fixed_amount_even_where_base_has_none(base, mine, amount):
    assert _passes(_evaluation(base, mine), not_worse_than_base_by=amount) == (mine <= base + amount)
    assert _passes(_evaluation(0, mine), not_worse_than_base_by=0.05) == (mine <= 0.05)
    evaluation = _evaluation(base, mine)
    for row in evaluation["rows"]:
        row["metrics"] = {"kept@broad": row["metrics"]["flagged@broad"]}
    (result,) = check_gates(evaluation, "mine", {"kept@broad": Gate(not_worse_than_base_by=amount)})
    assert result.passed == (mine >= base - amount), "more is better, so the bound is below base's figure"


@pytest.mark.parametrize(
    "gate",
    [
        {},
        {"of_base": True},
        {"of_base": True, "not_worse_by": 0.1},
        {"not_worse_than_base_by": 0.1, "of_base": True},
        {"not_worse_than_base_by": 0.1, "at_most": 0.2},
        {"at_least": 0.1, "at_most": 0.2},
        {"not_worse_than_base_by": -0.1},
    ],
)
def test_a_gate_with_no_bound_or_with_two_is_refused(gate):
    with pytest.raises(ValidationError):
        Gate(**gate)


def test_a_result_shows_value_interval_and_bound():
    gate = Gate(at_most=0.1, of_base=True)
    (result,) = check_gates(_evaluation(0.5, 0.06), "mine", {"flagged@broad": gate})
    assert str(result) == "fail: 0.06 [0.03, 0.06], at most 0.05 (0.1 x base 0.5 [0.25, 0.5])"
    gate = Gate(not_worse_than_base_by=0.05)
    (result,) = check_gates(_evaluation(0.0, 0.06), "mine", {"flagged@broad": gate})
    assert str(result) == "fail: 0.06 [0.03, 0.06], at most 0.05 (base 0 [0, 0] + 0.05)"


def test_an_unknown_row_or_metric_is_named():
    with pytest.raises(UserError, match="no row 'other'"):
        check_gates(_evaluation(0.5, 0.1), "other", {"flagged@broad": Gate(at_most=1.0)})
    with pytest.raises(UserError, match="release.gates.flaged@broad"):
        check_gates(_evaluation(0.5, 0.1), "mine", {"flaged@broad": Gate(at_most=1.0)})
