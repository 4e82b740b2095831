"""Pictures expire by what people said of them and when."""

from datetime import UTC, datetime, timedelta

import pytest

from hfi_core.candidates.manifest import read_manifest
from hfi_core.feedback.expiry import ALREADY_DELETED, GOLD, RECENTLY_JUDGED, TOO_FEW_JUDGEMENTS, plan_concept_expiry
from hfi_core.feedback.schema import BinaryJudgement, RankingJudgement
from tests.support.annotation_server import write_candidates

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    write_candidates(tmp_path, "badge", 6)
    return tmp_path / "candidates" / "badge"


def judged(candidate, annotator: str, retention_days: float | None) -> BinaryJudgement:
    when = None if retention_days is None else NOW - timedelta(days=retention_days)
    return BinaryJudgement(
        id=f"{candidate.id}.{annotator}", annotator=annotator, concept="badge", kind="binary", picture=candidate.id,
        sha256=candidate.sha256, answer="yes", answered_at=when,
    )  # fmt: skip


def test_a_picture_goes_once_enough_people_have_judged_it_and_the_last_of_them_long_ago(folder):
    old, young, once, gold, gone, never = read_manifest(folder)
    (folder / gone.file).unlink()
    judgements = [judged(candidate, "ana", 40) for candidate in (old, young, once, gold, gone)]
    judgements += [judged(old, "bo", 31), judged(young, "bo", 29), judged(gold, "bo", 40), judged(gone, "bo", 40)]
    found = plan_concept_expiry(
        "badge", folder, judgements, min_judgements=2, retention_days=30, gold={gold.id}, now=NOW
    )
    assert [candidate.id for candidate in found.expired] == [old.id]
    assert found.files == [folder / old.file]
    assert found.retained == {RECENTLY_JUDGED: 1, TOO_FEW_JUDGEMENTS: 2, GOLD: 1, ALREADY_DELETED: 1}


def test_a_judgement_without_a_time_is_as_old_as_the_file(folder):
    first, *_ = read_manifest(folder)
    now = datetime.now(UTC)
    for retention_days, expired in ((30, 0), (-1, 1)):
        found = plan_concept_expiry(
            "badge",
            folder,
            [judged(first, "ana", None)],
            min_judgements=1,
            retention_days=retention_days,
            gold=(),
            now=now,
        )
        assert len(found.expired) == expired


def test_every_picture_of_a_ranking_counts_as_judged(folder):
    ids = [candidate.id for candidate in read_manifest(folder)]
    ranking = RankingJudgement(
        id="r", annotator="ana", concept="badge", kind="ranking", groups=(tuple(ids[:2]),), not_applicable=(ids[2],),
        answered_at=NOW - timedelta(days=99),
    )  # fmt: skip
    found = plan_concept_expiry("badge", folder, [ranking], min_judgements=1, retention_days=30, gold=(), now=NOW)
    assert [candidate.id for candidate in found.expired] == ids[:3]


def test_what_was_said_of_a_picture_before_it_was_redrawn_lets_no_picture_go(folder):
    first, *_ = read_manifest(folder)
    before = judged(first, "ana", 40).model_copy(update={"sha256": "f" * 64})
    assert not plan_concept_expiry(
        "badge", folder, [before], min_judgements=1, retention_days=30, gold=(), now=NOW
    ).expired
