import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.feedback.aggregation import count_votes, make_binary_labels, make_labels, share_of_votes
from hfi_core.feedback.labels import assign_split
from hfi_core.feedback.ledger import Tally, open_ledger
from tests.support.judging import candidate, vote, write_lines

CANDIDATES = {name: candidate(name) for name in "abcdef"}


def _shares(tallies, minimum=1):
    return make_labels(tallies, share_of_votes, CANDIDATES, minimum, 0)


def _labels(path, rows, aggregation, held_out=(0, 0), candidates=CANDIDATES):
    write_lines(path, rows)
    with open_ledger(path, "badge", "binary", candidates) as ledger:
        labels = make_binary_labels(ledger, aggregation, candidates, 1, *held_out)
    return {label.picture: label for label in labels}


def test_a_binary_label_is_the_share_of_yes_among_yes_and_no():
    (label,) = _shares([Tally("a", 3, 1, 5)])
    assert (label.label, label.yes, label.no, label.cant_tell, label.part) == (0.75, 3, 1, 5, "learn")


def test_pictures_judged_too_seldom_or_by_nobody_who_could_tell_get_no_label():
    tallies = [Tally("a", 1, 0, 0), Tally("b", 0, 0, 9), Tally("c", 1, 0, 1), Tally("d", 1, 1, 0)]
    assert [label.picture for label in _shares(tallies, 2)] == ["c", "d"]


def test_cant_tell_is_not_a_vote():
    assert count_votes([Tally("a", 3, 1, 5), Tally("b", 0, 0, 2)]).tolist() == [[3, 1], [0, 0]]
    assert count_votes([]).shape == (0, 2)


def test_both_ways_label_the_same_pictures_with_the_same_counts(tmp_path):
    rows = [
        vote(CANDIDATES[name], answer, who)
        for name, answers in {"a": "yyn", "b": "nny", "c": "yyy", "d": "nnn", "e": ".y.", "f": "..."}.items()
        for who, answer in zip(
            ("ana", "bo", "cy"), ({"y": "yes", "n": "no", ".": "cant_tell"}[one] for one in answers), strict=True
        )
    ]
    shares, posteriors = (
        _labels(tmp_path / "f.jsonl", rows, aggregation) for aggregation in ("majority", "dawid-skene")
    )
    assert shares.keys() == posteriors.keys() == set("abcde")
    for name, label in posteriors.items():
        assert 0 <= label.label <= 1
        assert (label.yes, label.no, label.cant_tell) == (shares[name].yes, shares[name].no, shares[name].cant_tell)
    assert shares["a"].label == pytest.approx(2 / 3)
    assert posteriors["c"].label > 0.9 and posteriors["d"].label < 0.1


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_labels_to_learn_from_do_not_depend_on_answers_that_are_held_out(tmp_path, data):
    candidates = {f"badge-{k}": candidate(f"badge-{k}", f"{k:064x}") for k in range(20)}
    part = {name: assign_split(name, 0.3, 0.3) for name in candidates}
    assert set(part.values()) == {"learn", "attack", "judge"}
    answers = st.sampled_from(["yes", "no", "cant_tell"])

    def judge(name, who, said):
        return vote(candidates[name], said, who)

    learned = [(name, who, data.draw(answers)) for name in part if part[name] == "learn" for who in ("ana", "bo", "cy")]
    found = []
    for _ in range(2):
        held_out = [(name, who, data.draw(answers)) for name in part if part[name] != "learn" for who in ("ana", "bo")]
        rows = [judge(*one) for one in learned + held_out]
        labels = _labels(tmp_path / "f.jsonl", rows, "dawid-skene", (0.3, 0.3), candidates)
        assert {label.part for label in labels.values()} <= {"learn", "attack", "judge"}
        assert labels.keys() == {name for name, _, said in learned + held_out if said != "cant_tell"}
        found.append({name: label for name, label in labels.items() if label.part == "learn"})
    assert found[0] == found[1]
