import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.feedback.aggregate import bradley_terry, compare, positions, share_of_votes, shared_sets
from hfi_core.feedback.labels import Pair
from hfi_core.feedback.ledger import Order, Tally
from tests.judging import candidate

CANDIDATES = {name: candidate(name) for name in "abcdef"}


def _order(text: str, annotator: str = "ana", not_applicable: str = "") -> Order:
    """An order from "a bc d": groups from the strongest, parted by blanks."""
    groups = tuple(tuple(group) for group in text.split())
    subject = ", ".join(sorted(text.replace(" ", "") + not_applicable))
    return Order(subject, annotator, groups, tuple(not_applicable))


def test_a_binary_label_is_the_share_of_yes_among_yes_and_no():
    (label,) = share_of_votes([Tally("a", 3, 1, 5)], CANDIDATES, 1, 0)
    assert (label.label, label.yes, label.no, label.cant_tell, label.part) == (0.75, 3, 1, 5, "learn")


def test_pictures_judged_too_seldom_or_by_nobody_who_could_tell_get_no_label():
    tallies = [Tally("a", 1, 0, 0), Tally("b", 0, 0, 9), Tally("c", 1, 0, 1), Tally("d", 1, 1, 0)]
    assert [label.picture for label in share_of_votes(tallies, CANDIDATES, 2, 0)] == ["c", "d"]


def test_a_ranking_is_taken_apart_into_pairs_with_ties_as_halves():
    comparisons = compare([_order("a bc"), _order("b a", "bo", not_applicable="d")])
    assert comparisons.pairs == [
        Pair("a", "b", 1.0), Pair("a", "c", 1.0), Pair("b", "a", 1.0), Pair("b", "c", 0.5), Pair("c", "b", 0.5),
    ]  # fmt: skip
    assert comparisons.placed == {"a": 2, "b": 2, "c": 1}
    assert comparisons.not_applicable == {"d": 1}


def test_labels_of_one_ranking_are_its_order():
    labels = positions(compare([_order("d c b a")]), CANDIDATES, 1, 0)
    assert {label.picture: label.label for label in labels} == pytest.approx({"a": 0, "b": 1 / 3, "c": 2 / 3, "d": 1})
    assert {label.picture: (label.yes, label.no) for label in labels}["c"] == (2, 1)


def test_tied_pictures_share_a_position_in_spite_of_rounding():
    labels = positions(compare([_order("ab c"), _order("c ab", "bo")]), CANDIDATES, 1, 0)
    assert [label.label for label in labels] == [0.5, 0.5, 0.5]


def test_rankings_that_overlap_order_pictures_that_were_never_shown_together():
    labels = positions(compare([_order("a b"), _order("b c"), _order("c d")]), CANDIDATES, 1, 0)
    assert [label.label for label in sorted(labels, key=lambda one: one.picture)] == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_pictures_shown_too_seldom_get_no_position():
    labels = positions(compare([_order("a b"), _order("b c"), _order("c", "bo", not_applicable="a")]), CANDIDATES, 2, 0)
    assert [label.picture for label in labels] == ["a", "b", "c"]
    assert [label.picture for label in positions(compare([_order("a b"), _order("b c")]), CANDIDATES, 2, 0)] == ["b"]


def test_rankings_that_place_nothing_give_no_labels():
    assert positions(compare([_order("", not_applicable="ab")]), CANDIDATES, 1, 0) == []


def test_bradley_terry_finds_the_scores_that_the_pairs_were_made_from():
    true = np.array([1.2, 0.4, -0.3, -1.3])
    names = "abcd"
    pairs = [
        Pair(names[i], names[j], 1e4 / (1 + np.exp(true[j] - true[i]))) for i in range(4) for j in range(4) if i != j
    ]
    assert bradley_terry(pairs, names) == pytest.approx(true, abs=2e-3)


@given(st.permutations("abcdef"), st.integers(1, 5))
def test_unbeaten_pictures_get_finite_scores_in_the_order_of_the_ranking(order, cut):
    pairs = compare([_order(" ".join(order[: cut + 1]))]).pairs
    scores = bradley_terry(pairs, order[: cut + 1])
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()


def test_agreement_is_taken_over_pictures_that_all_annotators_placed():
    orders = [_order("a b c"), _order("b a", "bo", not_applicable="c"), _order("d e"), _order("f", not_applicable="a")]
    assert [places.tolist() for places in shared_sets(orders)] == [[[0, 1], [1, 0]]]
