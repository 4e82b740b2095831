import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.feedback.labels import RankedPair, assign_split
from hfi_core.feedback.ranking import collect_rank_matrices, count_comparisons, make_ranking_labels
from tests.support.judging import candidate
from tests.support.rankings import order

CANDIDATES = {name: candidate(name) for name in "abcdef"}


def test_a_ranking_is_taken_apart_into_pairs_with_ties_as_halves():
    comparisons = count_comparisons([order("a bc"), order("b a", "bo", not_applicable="d")])
    assert [replace(pair, ranking="") for pair in comparisons.pairs] == [
        RankedPair("a", "b", 1.0),
        RankedPair("a", "c", 1.0),
        RankedPair("b", "a", 1.0),
        RankedPair("b", "c", 0.5),
        RankedPair("c", "b", 0.5),
    ]
    first, second = comparisons.pairs[0], comparisons.pairs[2]
    assert first.ranking != second.ranking, "other pictures were ranked together"
    assert comparisons.ties.total() == 1
    assert comparisons.ranked == {"a": 2, "b": 2, "c": 1}
    assert comparisons.not_applicable == {"d": 1}


def test_pairs_of_the_same_pictures_are_counted_together_by_whomever_they_were_ranked():
    comparisons = count_comparisons([order("a b"), order("b a", "bo"), order("a b", "cy")])
    assert [(pair.above, pair.weight) for pair in comparisons.pairs] == [("a", 2.0), ("b", 1.0)]
    assert len({pair.ranking for pair in comparisons.pairs}) == 1


def test_a_group_of_four_holds_six_ties():
    comparisons = count_comparisons([order("abcd")])
    assert comparisons.ties.total() == 6
    assert {pair.weight for pair in comparisons.pairs} == {0.5} and len(comparisons.pairs) == 12


def test_labels_of_one_ranking_are_its_order():
    labels = make_ranking_labels(count_comparisons([order("d c b a")]), CANDIDATES, 1, 0)
    assert {label.picture: label.label for label in labels} == pytest.approx({"a": 0, "b": 1 / 3, "c": 2 / 3, "d": 1})
    assert {label.picture: (label.yes, label.no) for label in labels}["c"] == (2, 1)


def test_tied_pictures_share_a_position_in_spite_of_rounding():
    labels = make_ranking_labels(count_comparisons([order("ab c"), order("c ab", "bo")]), CANDIDATES, 1, 0)
    assert [label.label for label in labels] == [0.5, 0.5, 0.5]


def test_rankings_that_overlap_order_pictures_that_were_never_shown_together():
    labels = make_ranking_labels(count_comparisons([order("a b"), order("b c"), order("c d")]), CANDIDATES, 1, 0)
    assert [label.label for label in sorted(labels, key=lambda one: one.picture)] == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_pictures_shown_too_seldom_get_no_position():
    labels = make_ranking_labels(
        count_comparisons([order("a b"), order("b c"), order("c", "bo", not_applicable="a")]), CANDIDATES, 2, 0
    )
    assert [label.picture for label in labels] == ["a", "b", "c"]
    assert [
        label.picture
        for label in make_ranking_labels(count_comparisons([order("a b"), order("b c")]), CANDIDATES, 2, 0)
    ] == ["b"]


def test_rankings_that_place_nothing_give_no_labels():
    assert make_ranking_labels(count_comparisons([order("", not_applicable="ab")]), CANDIDATES, 1, 0) == []


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_labels_to_learn_from_do_not_depend_on_places_of_pictures_that_are_held_out(chance):
    part = {name: assign_split(name, 0.3, 0.3) for name in string.ascii_letters}
    assert set(part.values()) == {"learn", "attack", "judge"}
    learned = [name for name in part if part[name] == "learn"]
    others = [name for name in part if part[name] != "learn"]
    drawn = [chance.sample(learned, 3) for _ in range(6)]
    found = []
    for _ in range(2):
        rankings = []
        for first, second, third in drawn:
            groups = [[first, second], [third]]
            for name in chance.sample(others, 4):
                groups.insert(chance.randint(0, len(groups)), [])
                chance.choice(groups).append(name)
            rankings.append(order(" ".join("".join(group) for group in groups)))
        labels = make_ranking_labels(count_comparisons(rankings), {name: candidate(name) for name in part}, 1, 0.3, 0.3)
        assert {label.part for label in labels} == {"learn", "attack", "judge"}
        found.append([replace(label, cant_tell=0) for label in labels if label.part == "learn"])
    assert found[0] == found[1]


def test_agreement_is_taken_over_pictures_that_all_annotators_placed():
    orders = [order("a b c"), order("b a", "bo", not_applicable="c"), order("d e"), order("f", not_applicable="a")]
    assert [places.tolist() for places in collect_rank_matrices(orders)] == [[[0, 1], [1, 0]]]
