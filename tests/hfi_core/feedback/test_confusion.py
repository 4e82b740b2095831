import pytest

from hfi_core.feedback.agreement import Confusion, count_confusions, estimate_share
from hfi_core.feedback.ledger import Vote


def _votes(**answers: str) -> list[Vote]:
    words = {"y": "yes", "n": "no", "?": "cant_tell"}
    names = ("ana", "bo", "cy", "di")
    return [
        Vote(picture, name, words[one])
        for picture, row in answers.items()
        for name, one in zip(names, row, strict=False)
        if one != "."
    ]


def test_each_is_compared_with_the_majority_of_the_others():
    found = count_confusions(_votes(p="yyy", q="nyy", r="nnn", s="ynn"))
    assert found["ana"] == Confusion(yes_yes=1, yes_no=1, no_yes=1, no_no=1)
    # On q ana's no splits the others of bo and of cy, and so does her yes on s.
    assert found["bo"] == found["cy"] == Confusion(yes_yes=1, no_no=1)


def test_ones_own_answer_is_not_part_of_the_consensus():
    found = count_confusions(_votes(p="yn", q="yn", r="ny"))
    assert found["ana"] == Confusion(yes_no=2, no_yes=1)
    assert found["ana"].accuracy.value == 0


def test_split_others_cant_tell_and_pictures_of_ones_own_are_not_compared():
    found = count_confusions(_votes(p="yyn", q="y", r="?yy", s="y??"))
    assert found["ana"] == Confusion()
    assert found["ana"].accuracy is None
    assert found["cy"] == Confusion(yes_yes=1, no_yes=1)


def test_shares_are_of_the_others_yes_and_of_their_no():
    table = Confusion(yes_yes=8, no_yes=2, no_no=9, yes_no=1)
    assert (table.accuracy.value, table.yes_found.value, table.no_found.value) == (17 / 20, 0.8, 0.9)
    assert table.accuracy.n == 20


def test_intervals_are_wilsons():
    # Newcombe (1998), table I: 81 of 263, method 3.
    interval = estimate_share(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert estimate_share(0, 0) is None
    assert estimate_share(5, 5).low < 1 == estimate_share(5, 5).high
