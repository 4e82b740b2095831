import pytest

from hfi_core.feedback.agreement import Confusion
from hfi_core.feedback.ledger import open_ledger
from hfi_core.feedback.statistics import compute_statistics
from tests.support.judging import candidate, ranking, vote, write_lines

PICTURES = {f"p{k}": candidate(f"p{k}") for k in range(6)}


def _statistics(path, rows, kind="binary"):
    write_lines(path, rows)
    with open_ledger(path, "badge", kind, PICTURES) as ledger:
        return compute_statistics(ledger, kind)


def _times(seconds: float) -> dict[str, str]:
    return {"shown_at": "2026-11-24T09:00:00+00:00", "answered_at": f"2026-11-24T10:00:{seconds:09.6f}+01:00"}


def test_votes_are_counted_compared_and_timed_by_annotator(tmp_path):
    rows = [vote(PICTURES[f"p{k}"], "yes" if k % 2 else "no", who) for k in range(6) for who in ("ana", "bo")]
    rows += [
        vote(PICTURES["p0"], "yes", "cy", **_times(2)),
        vote(PICTURES["p1"], "yes", "cy", **_times(4)),
        vote(PICTURES["p2"], "cant_tell", "cy", **_times(10.5)),
    ]
    found = _statistics(tmp_path / "f.jsonl", rows)
    assert (found.totals.judgements, found.pictures, found.cant_tell, found.seconds) == (15, 6, 1, 4)
    assert list(found.annotators) == ["ana", "bo", "cy"]
    cy = found.annotators["cy"]
    assert (cy.judgements, cy.cant_tell, cy.seconds) == (3, 1, 4)
    assert cy.confusion == Confusion(yes_yes=1, yes_no=1)
    assert found.annotators["ana"].seconds is None
    alpha = found.agreement["krippendorff_alpha"]
    assert alpha == found.deciding_agreement and alpha.low <= alpha.value <= alpha.high and alpha.n == 6


def test_an_answer_before_its_question_is_not_timed(tmp_path):
    early = {"shown_at": "2026-11-24T09:00:10+00:00", "answered_at": "2026-11-24T09:00:00+00:00"}
    rows = [vote(PICTURES["p0"], "yes", "ana", **early), vote(PICTURES["p1"], "no", "ana", **_times(3))]
    found = _statistics(tmp_path / "f.jsonl", rows)
    assert (found.seconds, found.annotators["ana"].seconds, found.totals.judgements) == (3, 3, 2)


def test_rankings_are_counted_with_both_measures_of_agreement(tmp_path):
    rows = [
        ranking([["p0"], ["p1", "p2"]], who, id=f"{who}-1", not_applicable=["p3"] if who == "ana" else [])
        for who in ("ana", "ana2")
    ]
    rows.append(ranking([["p0"], ["p1", "p2"]], "bo", id="bo-1", not_applicable=["p3"]))
    found = _statistics(tmp_path / "f.jsonl", rows, "ranking")
    assert (found.pictures, found.cant_tell) == (4, 2)
    assert found.agreement["kendalls_w"].value == found.agreement["krippendorff_alpha"].value == pytest.approx(1)
    assert found.deciding_agreement is found.agreement["kendalls_w"]
    assert found.annotators["bo"].confusion == Confusion()


def test_a_leads_decisions_are_counted_and_no_part_of_the_agreement(tmp_path):
    rows = [vote(PICTURES[f"p{k}"], "yes" if k % 2 else "no", who) for k in range(4) for who in ("ana", "bo")]
    rows += [vote(PICTURES["p4"], "yes", "ana"), vote(PICTURES["p4"], "no", "lea")]
    without = _statistics(tmp_path / "f.jsonl", rows)
    own = rows[-1]["id"]
    rows.append(vote(PICTURES["p4"], "yes", "lea", supersedes=own) | {"id": "adjudication.1"})
    rows.append(vote(PICTURES["p0"], "yes", "lea") | {"id": "adjudication.2"})
    decided = _statistics(tmp_path / "f.jsonl", rows)
    assert decided.agreement == without.agreement
    assert decided.annotators["bo"].confusion == without.annotators["bo"].confusion
    assert (without.totals.judgements, decided.totals.judgements, decided.totals.superseded) == (10, 11, 1)
    orders = [ranking([["p0"], ["p1"], ["p2"]], "ana"), ranking([["p2"], ["p1"], ["p0"]], "bo")]
    without = _statistics(tmp_path / "f.jsonl", orders, "ranking")
    orders.append(ranking([["p0"], ["p1"], ["p2"]], "lea") | {"id": "adjudication.3"})
    assert _statistics(tmp_path / "f.jsonl", orders, "ranking").agreement == without.agreement
