import random
import subprocess
import sys

import pytest

from hfi_core.feedback.aggregation import fit_dawid_skene
from hfi_core.feedback.ledger import Vote


def _votes(**answers: str) -> list[Vote]:
    """Votes from a string a picture: a character an annotator, `y`, `n`, `?` for can't tell, `.` for none."""
    words = {"y": "yes", "n": "no", "?": "cant_tell"}
    return [
        Vote(picture, f"w{k}", words[one])
        for picture, row in answers.items()
        for k, one in enumerate(row)
        if one != "."
    ]


def _crowd(errors: dict[str, float], pictures: int, seed: int = 0) -> tuple[list[Vote], dict[str, str]]:
    rng = random.Random(seed)
    truth = {f"p{k:03d}": rng.choice(["yes", "no"]) for k in range(pictures)}
    other = {"yes": "no", "no": "yes"}
    votes = [
        Vote(picture, name, other[answer] if rng.random() < error else answer)
        for picture, answer in truth.items()
        for name, error in errors.items()
    ]
    return votes, truth


def test_a_good_annotator_outweighs_several_who_guess():
    votes, truth = _crowd({"good": 0.03, "fair": 0.1, "guess-1": 0.42, "guess-2": 0.45, "guess-3": 0.45}, 120)
    chances = fit_dawid_skene(votes)
    right = sum((chances[picture] > 0.5) == (answer == "yes") for picture, answer in truth.items())
    count = {picture: sum(1 if v.answer == "yes" else -1 for v in votes if v.picture == picture) for picture in truth}
    majority = sum((count[picture] > 0) == (answer == "yes") for picture, answer in truth.items())
    assert right >= 0.95 * len(truth) > majority


def test_the_same_votes_give_the_same_chances():
    votes, _ = _crowd({"a": 0.1, "b": 0.2, "c": 0.3}, 40)
    assert fit_dawid_skene(votes) == fit_dawid_skene(list(votes))


@pytest.mark.parametrize(("answer", "chance"), [("y", 1.0), ("n", 0.0)])
def test_answers_that_are_all_equal_are_believed(answer, chance):
    assert fit_dawid_skene(_votes(p=answer * 3, q=answer)) == {"p": chance, "q": chance}


def test_nothing_said_gives_nothing():
    assert fit_dawid_skene([]) == {}
    assert fit_dawid_skene(_votes(p="??")) == {}


def test_one_answer_of_somebody_new_moves_no_other_picture_s_label_across():
    votes = _votes(p="yyy", q="nnn", r="yyn", s="nny", t="yyy", u="nnn")
    before = fit_dawid_skene(votes)
    after = fit_dawid_skene([*votes, Vote("u", "zed", "yes")])
    assert {picture: chance > 0.5 for picture, chance in after.items()} == {
        picture: chance > 0.5 for picture, chance in before.items()
    }


def test_islands_of_annotators_get_their_own_answers():
    votes = [*_votes(p="yy", q="nn", r="yy"), Vote("s", "zed", "yes"), Vote("t", "zed", "no")]
    chances = fit_dawid_skene(votes)
    assert {picture for picture, chance in chances.items() if chance > 0.5} == {"p", "r", "s"}


def test_two_who_never_agree_leave_every_picture_undecided():
    assert set(fit_dawid_skene(_votes(p="yn", q="ny", r="yn", s="ny")).values()) == {0.5}


@pytest.mark.integration
def test_it_costs_no_torch_and_nothing_until_it_is_asked():
    code = """
import sys, hfi_core.feedback.aggregation
assert not {'crowdkit', 'pandas', 'torch'} & set(sys.modules), 'on import'
from hfi_core.feedback.aggregation import fit_dawid_skene
from hfi_core.feedback.ledger import Vote
fit_dawid_skene([Vote('p', 'a', 'yes'), Vote('q', 'a', 'no')])
assert 'crowdkit' in sys.modules and not {'torch', 'transformers'} & set(sys.modules), 'in use'
"""
    subprocess.run([sys.executable, "-c", code], check=True)
