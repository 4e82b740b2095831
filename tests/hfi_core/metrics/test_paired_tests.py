"""Paired tests and their correction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control

from hfi_core.metrics.paired_tests import holm, mcnemar, pairs_needed

_ps = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def _rows(both, first, second, neither):
    return (
        np.array([True] * (both + first) + [False] * (second + neither)),
        np.array([True] * both + [False] * first + [True] * second + [False] * neither),
    )


@pytest.mark.parametrize(
    ("table", "p"),
    [
        ((0, 0, 0, 9), 1.0),
        ((5, 6, 0, 3), 2 * 0.5**6),
        ((4, 3, 3, 1), 1.0),
        ((101, 121, 59, 33), binomtest(59, 180, 0.5).pvalue),
    ],
)
def test_mcnemar_agrees_with_the_binomial_test_on_known_tables(table, p):
    assert mcnemar(*_rows(*table)) == pytest.approx(p)


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(any))
def test_mcnemar_does_not_care_which_row_comes_first(table):
    first, second = _rows(*table)
    assert mcnemar(first, second) == pytest.approx(mcnemar(second, first))


@given(_ps)
def test_holm_never_lowers_a_p_keeps_their_order_and_stays_at_most_1(ps):
    adjusted = holm(ps)
    assert all(p <= a <= 1 for p, a in zip(ps, adjusted, strict=True))
    order = np.argsort(ps, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


@given(_ps)
def test_holm_lies_between_the_false_discovery_rate_and_bonferroni(ps):
    adjusted = np.array(holm(ps))
    assert np.all(adjusted <= np.minimum(1, len(ps) * np.array(ps)) + 1e-12)
    assert np.all(adjusted >= false_discovery_control(ps) - 1e-12)


def test_holm_on_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize(("difference", "differing", "expected"), [(0.05, 0.1, 312), (0.1, 0.2, 155), (0.1, 0.1, 77)])
def test_the_number_of_pairs_is_that_of_the_published_formula(difference, differing, expected):
    assert pairs_needed(difference, differing, level=0.95) == expected
    # Connor 1987, with the normal quantiles in numbers.
    root = 1.959964 * differing**0.5 + 0.841621 * (differing - difference**2) ** 0.5
    assert (root / difference) ** 2 == pytest.approx(expected, abs=1)


def test_so_many_pairs_see_the_difference_about_as_often_as_promised():
    n, rng = pairs_needed(0.1, 0.3, level=0.95), np.random.default_rng(0)
    seen = 0
    for _ in range(200):
        which = rng.choice(3, n, p=[0.7, 0.2, 0.1])
        seen += mcnemar(which == 1, which == 2) < 0.05
    assert 0.7 <= seen / 200 <= 0.9
