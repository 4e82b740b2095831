"""The lead's figures depend on people's own answers, not on the lead's decisions."""

from datetime import UTC, datetime, timedelta

import pytest

from hfi_core.annotation.service.review_stats import merge_paces, select_own_answers
from hfi_core.feedback.schema import ADJUDICATION_PREFIX, BinaryJudgement, RankingJudgement
from tests.support.review_reference import estimate_agreement, find_disputes, measure_paces

SHOWN = datetime(2026, 11, 25, 9, tzinfo=UTC)


def vote(picture: str, annotator: str, answer: str, seconds: float | None = None, lead: bool = False):
    times = {} if seconds is None else {"shown_at": SHOWN, "answered_at": SHOWN + timedelta(seconds=seconds)}
    return BinaryJudgement(
        id=f"{ADJUDICATION_PREFIX if lead else ''}{picture}.{annotator}", annotator=annotator, concept="badge",
        kind="binary", picture=picture, sha256="0" * 64, answer=answer, **times,
    )  # fmt: skip


def ranked(annotator: str, *groups: str, none: str = ""):
    return RankingJudgement(
        id=f"{annotator}.{'-'.join(groups)}", annotator=annotator, concept="badge", kind="ranking",
        groups=tuple(tuple(group) for group in groups), not_applicable=tuple(none),
    )  # fmt: skip


def test_disagreements_come_widest_first_and_decided_ones_last():
    judgements = [
        vote("all-yes", "ana", "yes"), vote("all-yes", "bo", "yes"),
        vote("unsure", "ana", "yes"), vote("unsure", "bo", "cant_tell"),
        vote("two-one", "ana", "yes"), vote("two-one", "bo", "no"), vote("two-one", "cy", "yes"),
        vote("even", "ana", "no"), vote("even", "bo", "yes"),
        vote("decided", "ana", "no"), vote("decided", "bo", "yes"), vote("decided", "lea", "yes", lead=True),
    ]  # fmt: skip
    disputes = find_disputes(judgements)
    assert [dispute.pictures[0] for dispute in disputes] == ["even", "two-one", "decided"]
    assert [dispute.is_decided for dispute in disputes] == [False, False, True]
    assert [opinion.is_decision for opinion in disputes[2].opinions] == [False, False, True]


def test_the_leads_decision_alone_makes_no_disagreement_and_no_agreement():
    judgements = [vote(f"p{n}", who, "yes" if n % 2 else "no") for n in range(6) for who in ("ana", "bo")]
    decided = [vote(f"p{n}", "lea", "no" if n % 2 else "yes", lead=True) for n in range(6)]
    assert find_disputes(judgements + decided) == []
    assert estimate_agreement(judgements + decided, "binary").value == 1.0
    assert estimate_agreement(decided, "binary") is None
    assert [pace.annotator for pace in measure_paces(judgements + decided)] == ["ana", "bo"]


def test_agreement_on_rankings_is_that_of_the_sets_that_several_ranked():
    same = [ranked("ana", "a", "b", "c"), ranked("bo", "a", "b", "c"), ranked("cy", "x", "y")]
    assert estimate_agreement(same, "ranking").value == 1.0 and find_disputes(same) == []
    opposite = [ranked("ana", "a", "b", "c"), ranked("bo", "c", "b", "a")]
    assert estimate_agreement(opposite, "ranking").value == pytest.approx(0.0)
    (dispute,) = find_disputes(opposite)
    assert dispute.pictures == ("a", "b", "c") and dispute.disagreement == pytest.approx(1.0)
    assert [opinion.places for opinion in dispute.opinions] == [(1, 2, 3), (3, 2, 1)]


def test_ties_share_a_place_and_whether_it_applies_at_all_is_the_widest_disagreement():
    (dispute,) = find_disputes([ranked("ana", "ab", "c"), ranked("bo", "a", "b", none="c")])
    assert dispute.disagreement == 1.0
    assert [opinion.places for opinion in dispute.opinions] == [(1, 1, 2), (1, 2, None)]


def test_pace_is_the_median_of_what_was_timed():
    judgements = [
        vote(f"p{n}", "ana", "cant_tell" if n == 0 else "yes", seconds) for n, seconds in enumerate((1, 9, 2))
    ]
    judgements += [vote("p9", "ana", "no"), vote("p0", "bo", "no")]
    ana, bo = measure_paces(judgements)
    assert (ana.judgements, ana.median_seconds, ana.cant_tell) == (4, 2.0, 1)
    assert (bo.judgements, bo.median_seconds) == (1, None)
    (both,) = merge_paces([ana, ana])
    assert (both.judgements, both.median_seconds, both.cant_tell) == (8, 2.0, 2)


def test_an_answer_before_its_question_is_not_timed():
    judgements = [vote(f"p{n}", "ana", "yes", seconds) for n, seconds in enumerate((-10, -10, -10, 0))]
    (ana,) = measure_paces(judgements)
    assert (ana.judgements, ana.median_seconds) == (4, 0.0)
    assert merge_paces([ana]) == [ana]
    (bo,) = measure_paces([vote("p", "bo", "yes", -10)])
    assert bo.median_seconds is None


def test_an_answer_is_replaced_by_ones_own_and_not_by_ones_decision():
    first = vote("p", "lea", "yes")
    decided = vote("p", "lea", "no", lead=True).model_copy(update={"supersedes": first.id})
    again = vote("p", "lea", "cant_tell").model_copy(update={"id": "p.lea.2", "supersedes": decided.id})
    assert select_own_answers([first, decided]) == [first, decided]
    assert select_own_answers([first, decided, again]) == [again]
