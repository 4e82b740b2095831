import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.feedback.ledger import Tally, Vote, open_ledger
from tests.support.judging import candidate, ranking, vote, write_lines

PICTURES = {name: candidate(name, f"{k:064x}") for k, name in enumerate(("p1", "p2", "p3"))}
P1, P2 = PICTURES["p1"], PICTURES["p2"]


def _tallies(path, rows):
    write_lines(path, rows)
    with open_ledger(path, "badge", "binary", PICTURES) as ledger:
        return list(ledger.tallies()), ledger.totals()


def _refusal(path, rows, kind="binary"):
    write_lines(path, rows)
    with pytest.raises(UserError) as caught, open_ledger(path, "badge", kind, PICTURES):
        pass
    return str(caught.value)


def test_votes_are_counted_by_picture(tmp_path):
    rows = [vote(P2, "no"), vote(P1, "yes"), vote(P1, "no", "bo"), vote(P1, "cant_tell", "cy")]
    tallies, totals = _tallies(tmp_path / "f.jsonl", rows)
    assert tallies == [Tally("p1", 1, 1, 1), Tally("p2", 0, 1, 0)]
    assert (totals.judgements, totals.superseded, totals.annotators, totals.simulated) == (4, 0, 3, False)


def test_votes_come_picture_by_picture_with_the_time_that_they_took(tmp_path):
    times = {"shown_at": "2026-11-24T09:00:00+00:00", "answered_at": "2026-11-24T09:00:02.5+00:00"}
    rows = [vote(P2, "no", "bo"), vote(P1, "cant_tell", "bo"), vote(P2, "yes", **times)]
    write_lines(tmp_path / "f.jsonl", rows)
    with open_ledger(tmp_path / "f.jsonl", "badge", "binary", PICTURES) as ledger:
        assert list(ledger.votes()) == [Vote("p1", "bo", "cant_tell"), Vote("p2", "ana", "yes"), Vote("p2", "bo", "no")]
        assert list(ledger.answer_times()) == [("ana", 2.5), ("bo", None), ("bo", None)]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(1, 6), data=st.data())
def test_of_a_chain_that_supersedes_the_last_counts_in_whatever_order_it_stands(tmp_path, length, data):
    chain = [vote(P1, "yes", id="j0")]
    chain += [vote(P1, "yes", id=f"j{k}", supersedes=f"j{k - 1}") for k in range(1, length)]
    chain.append(vote(P1, "no", id="last", supersedes=chain[-1]["id"]))
    tallies, totals = _tallies(tmp_path / "f.jsonl", data.draw(st.permutations(chain)))
    assert tallies == [Tally("p1", 0, 1, 0)]
    assert (totals.judgements, totals.superseded) == (1, length)


def test_a_superseded_ranking_does_not_count(tmp_path):
    first = ranking([["p1"], ["p2"]], id="r1")
    later = ranking([["p2"], ["p1"]], id="r2", supersedes="r1")
    path = write_lines(tmp_path / "f.jsonl", [later, first])
    with open_ledger(path, "badge", "ranking", PICTURES) as ledger:
        assert [order.groups for order in ledger.rankings()] == [(("p2",), ("p1",))]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (vote(P1, id="late", supersedes="none"), "'none' is not in the file"),
        (vote(P1, id="late", annotator="bo", supersedes="early"), "by another annotator"),
        (vote(P2, id="late", supersedes="early"), "on another question"),
        (vote(P1, id="late", concept="medal", supersedes="early"), "on another question"),
        (vote(P1, id="late", supersedes="late"), "superseded by this one"),
    ],
)
def test_what_cannot_be_superseded_is_named(tmp_path, later, expected):
    message = _refusal(tmp_path / "f.jsonl", [vote(P1, id="early"), later])
    assert expected in message
    assert "line 2, supersedes" in message


def test_a_circle_of_superseding_is_named(tmp_path):
    rows = [vote(P2), *(vote(P1, id=f"j{k}", supersedes=f"j{(k + 1) % 3}") for k in range(3))]
    assert "line 2, supersedes: 'j1' is in turn superseded" in _refusal(tmp_path / "f.jsonl", rows)


@pytest.mark.parametrize(
    "rows",
    [
        [vote(P1, id="j1"), vote(P2), vote(P1, "no", id="j2")],
        [vote(P1, id="j0"), vote(P1, id="j1", supersedes="j0"), vote(P1, "no", id="j2", supersedes="j0")],
    ],
)
def test_two_answers_of_one_person_of_which_neither_supersedes_the_other_are_refused(tmp_path, rows):
    message = _refusal(tmp_path / "f.jsonl", rows)
    assert "line 3, annotator: 'ana' answered the same question in line" in message
    assert "`supersedes`" in message


def test_two_rankings_of_the_same_pictures_by_one_person_are_refused(tmp_path):
    rows = [ranking([["p1"], ["p2"]], id="r1"), ranking([["p2"]], id="r2", not_applicable=["p1"])]
    assert "line 2, annotator" in _refusal(tmp_path / "f.jsonl", rows, "ranking")


def test_one_simulated_judgement_makes_the_whole_simulated(tmp_path):
    _, totals = _tallies(tmp_path / "f.jsonl", [vote(P1), vote(P2, simulated=True)])
    assert totals.simulated


def test_in_a_snapshot_of_the_live_store_what_is_gone_or_redrawn_is_counted_and_left_out(tmp_path):
    old = candidate("p1", "f" * 64)
    rows = [
        vote(P1, "yes"), vote(P2, "no"),
        vote(old, "no", id="o1"), vote(old, "yes", id="o2", supersedes="o1"), vote(candidate("p9"), "no", "bo"),
    ]  # fmt: skip
    path = write_lines(tmp_path / "f.jsonl", rows)
    with open_ledger(path, "badge", "binary", PICTURES, live=True) as ledger:
        assert list(ledger.tallies()) == [Tally("p1", 1, 0, 0), Tally("p2", 0, 1, 0)]
        totals = ledger.totals()
    assert (totals.judgements, totals.superseded, totals.annotators, totals.stale) == (2, 0, 1, 2)
    assert "line 3, sha256" in _refusal(path, rows), "in a file that somebody made it is a mistake"


def test_a_snapshot_with_two_answers_about_one_redrawn_picture_serves_the_other_concepts(tmp_path):
    rows = [vote(P1, concept="medal"), vote(candidate("p1", "f" * 64), concept="medal", id="again"), vote(P2)]
    assert _tallies(tmp_path / "f.jsonl", rows)[0] == [Tally("p2", 1, 0, 0)]


def test_a_ranking_is_one_answer_with_its_digests_or_without(tmp_path):
    seen = {"p1": P1.sha256, "p2": P2.sha256}
    rows = [ranking([["p1"], ["p2"]], id="r1"), ranking([["p2"], ["p1"]], id="r2", digests=seen)]
    assert "answered the same question in line 1" in _refusal(tmp_path / "f.jsonl", rows, "ranking")
