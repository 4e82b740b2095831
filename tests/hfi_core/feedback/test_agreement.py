import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hfi_core.feedback.agreement import alpha_interval, count_ranks, kendalls_w, krippendorff_alpha, mean_w_interval


def _counts(*observers: str) -> np.ndarray:
    """Counts (units, values) from one string an observer, a character a unit, `.` where there is no answer."""
    values = sorted(set("".join(observers)) - {"."})
    return np.array([[unit.count(value) for value in values] for unit in zip(*observers, strict=True)])


def test_alpha_is_that_of_krippendorffs_two_observers_with_binary_data():
    # Krippendorff (2011), part A: 10 units, coincidences 10, 4, 4, 2.
    assert krippendorff_alpha(_counts("0100000010", "1110010000")) == pytest.approx(1 - 19 * 4 / (14 * 6))
    assert krippendorff_alpha(_counts("0100000010", "1110010000")) == pytest.approx(0.095, abs=5e-4)


def test_alpha_is_that_of_krippendorffs_four_observers_with_missing_answers():
    # Krippendorff (2011), part C, whose result is .743.
    table = _counts("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    assert krippendorff_alpha(table) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_a_hand_computed_example():
    # Units yes yes, no no, yes no: o = [[2, 1], [1, 2]], n = 6, so 1 - (6 - 1) * (1 + 1) / (36 - 9 - 9).
    assert krippendorff_alpha(_counts("yny", "ynn")) == pytest.approx(1 - 5 * 2 / 18)


def test_alpha_is_1_where_all_agree_and_below_0_where_they_never_do():
    assert krippendorff_alpha(_counts("yn", "yn")) == 1
    assert krippendorff_alpha(_counts("yn", "ny")) < 0


@pytest.mark.parametrize("observers", [("y.", ".n"), ("yy", "yy"), ("..", "..")])
def test_alpha_is_undefined_where_nothing_is_judged_twice_or_nothing_varies(observers):
    assert krippendorff_alpha(_counts(*observers)) is None


@given(arrays.arrays(np.int64, (12, 2), elements=st.integers(0, 4)), st.permutations(range(12)))
def test_alpha_depends_neither_on_the_order_of_units_nor_on_the_names_of_values(counts, order):
    alpha = krippendorff_alpha(counts)
    other = krippendorff_alpha(counts[order][:, ::-1])
    assert alpha == other if alpha is None else alpha == pytest.approx(other) and alpha <= 1 + 1e-12


def test_w_of_a_hand_computed_example():
    # Rank sums 5, 6, 7: S = 2 and W = 12 S / (3^2 (3^3 - 3)) = 1 / 9.
    assert kendalls_w(np.array([[1, 2, 3], [1, 2, 3], [3, 2, 1]])) == pytest.approx(1 / 9)


def test_w_with_ties_of_a_hand_computed_example():
    # Ranks 1 2 3 and 1.5 1.5 3: sums 2.5, 3.5, 6; S = 6.5; T = 2^3 - 2 = 6; W = 78 / (4 * 24 - 2 * 6).
    assert kendalls_w(np.array([[1, 2, 3], [1, 1, 2]])) == pytest.approx(78 / 84)


def test_w_is_1_for_equal_rankings_with_ties_and_0_for_opposite_ones():
    assert kendalls_w(np.array([[0, 0, 1, 2]] * 3)) == pytest.approx(1)
    assert kendalls_w(np.array([[0, 1, 2], [2, 1, 0]])) == 0


def test_w_is_undefined_for_one_annotator_one_picture_or_ties_alone():
    for scores in ([[1, 2, 3]], [[1], [1]], [[1, 1], [2, 2]]):
        assert kendalls_w(np.array(scores)) is None
    assert mean_w_interval([np.array([[1, 2]])]) is None


def test_sets_of_pictures_count_alike_in_the_mean_of_w():
    agreed, opposed = np.array([[0, 1, 2, 3]] * 2), np.array([[0, 1], [1, 0]])
    found = mean_w_interval([agreed, opposed, np.array([[1, 2]])])
    assert found.value == pytest.approx(0.5) and found.n == 2
    assert found.low <= found.value <= found.high


def test_the_ordinal_alpha_is_that_of_the_published_example():
    # Krippendorff (2011), part C's data taken as ordinal: .815, also in the package's documentation.
    table = _counts("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    assert krippendorff_alpha(table, "ordinal") == pytest.approx(0.815, abs=5e-4)


@given(arrays.arrays(np.int64, (9, 3), elements=st.integers(0, 3)))
def test_alpha_is_one_less_observed_over_expected_disagreement(counts):
    alpha = krippendorff_alpha(counts)
    paired = counts[counts.sum(1) > 1].astype(float)
    if alpha is None:
        assert not len(paired) or (paired.sum(0) > 0).sum() < 2
        return
    votes = paired.sum(1, keepdims=True)
    apart = (paired * (votes - paired) / (votes - 1)).sum()
    n, totals = paired.sum(), paired.sum(0)
    assert alpha == pytest.approx(1 - (n - 1) * apart / (totals * (n - totals)).sum())


def test_the_interval_of_alpha_narrows_with_pictures_and_is_the_same_every_time():
    some = _counts("ynynynyy" * 3, "ynyynyyy" * 3)
    many = np.tile(some, (20, 1))
    wide, narrow = alpha_interval(some), alpha_interval(many)
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)
    assert wide == alpha_interval(some) and wide.low < wide.value < wide.high and wide.n == 24


def test_perfect_agreement_on_few_pictures_claims_no_certainty():
    few, many = alpha_interval(_counts("ynyn", "ynyn")), alpha_interval(_counts("ynyn" * 99, "ynyn" * 99))
    assert few.value == few.high == many.value == 1
    assert -1 <= few.low < 0.2 and 0.95 < many.low < 1
    assert mean_w_interval([np.array([[0, 1, 2]] * 2)] * 3).low < 0.7


def test_agreement_that_is_undefined_has_no_interval():
    assert alpha_interval(_counts("y.", ".n")) is None
    assert alpha_interval(count_ranks([]), "ordinal") is None


def test_places_are_counted_among_the_pictures_of_a_set():
    counts = count_ranks([np.array([[0, 1, 3], [2, 2, 5]]), np.array([[4, 0], [0, 1]])])
    assert counts.tolist() == [[2, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 0], [1, 1, 0]]
