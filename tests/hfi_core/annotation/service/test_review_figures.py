"""The figures that are updated answer by answer equal those over all judgements, and read only what is new."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hfi_core.annotation.service import review_stats
from hfi_core.annotation.service.review_figures import FigureKeeper
from hfi_core.feedback.agreement import alpha_interval, mean_w_interval
from hfi_core.feedback.schema import ADJUDICATION_PREFIX, BinaryJudgement, RankingJudgement, is_current
from tests.support import review_reference
from tests.support.annotation_project import create_annotation_project

SHOWN = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.fixture
def project(tmp_path):
    return create_annotation_project(tmp_path / "project")


@pytest.fixture
def keeper(project):
    return FigureKeeper("badge", "binary", {row.id: row for row in project.pictures["badge"]})


def judgement(candidate, annotator: str, answer: str, **more) -> BinaryJudgement:
    return BinaryJudgement(
        **{"id": f"{candidate.id}.{annotator}", "annotator": annotator, "concept": "badge", "kind": "binary"}
        | {"picture": candidate.id, "sha256": candidate.sha256, "answer": answer}
        | {"shown_at": SHOWN, "answered_at": SHOWN + timedelta(seconds=2)}
        | more
    )


def compute_from_all(project, store):
    candidates = {row.id: row for row in project.pictures["badge"]}
    own = review_stats.select_own_answers(row for row in store.read_judgements("badge") if is_current(row, candidates))
    return (
        review_reference.estimate_agreement(own, "binary"),
        review_reference.find_disputes(own),
        review_reference.measure_paces(own),
    )


def test_after_any_series_of_answers_the_figures_equal_those_over_all_judgements(project, store, keeper):
    rng, last = random.Random(5), {}
    for step in range(60):
        candidate, annotator = rng.choice(project.pictures["badge"]), rng.choice(["ana", "bo", "cy"])
        earlier = last.get((candidate.id, annotator))
        prefix = ADJUDICATION_PREFIX if rng.random() < 0.2 else ""
        row = judgement(
            candidate, annotator, rng.choice(["yes", "no", "cant_tell"]), id=f"{prefix}{step}", supersedes=earlier
        )
        store.add(row)
        last[candidate.id, annotator] = row.id
        if step == 30:
            redrawn = judgement(candidate, "dee", "no", id="stale", sha256="0" * 64)
            store.add(redrawn)
        if step == 45:
            store.forget("bo", judgements=True)
            last = {key: id for key, id in last.items() if key[1] != "bo"}
        figures = keeper.update(store)
        assert (figures.agreement, figures.disputes, figures.paces) == compute_from_all(project, store)


def test_an_update_reads_the_new_answers_and_those_to_the_same_questions_only(project, store, keeper, monkeypatch):
    first, second, *_ = project.pictures["badge"]
    for candidate in project.pictures["badge"]:
        for annotator in ("ana", "bo"):
            store.add(judgement(candidate, annotator, "yes"))
    keeper.update(store)
    monkeypatch.setattr(type(store), "read_judgements", None)  # it would read everything
    read, read_by_ids = [], type(store).read_by_ids
    monkeypatch.setattr(
        type(store), "read_by_ids", lambda self, ids: (read.append(row.id) or row for row in read_by_ids(self, ids))
    )
    assert keeper.update(store) is keeper.update(store) and read == []
    store.add(judgement(first, "cy", "no"))
    assert [dispute.pictures for dispute in keeper.update(store).disputes] == [(first.id,)]
    assert sorted(read) == sorted(f"{first.id}.{annotator}" for annotator in ("ana", "bo", "cy"))
    store.add(judgement(second, "cy", "yes"))
    keeper.update(store)
    assert len(read) == 6


def test_the_interval_over_many_questions_is_that_of_the_bootstrap_over_questions():
    rng = random.Random(1)
    units = [((3, 0), (2, 1), (1, 2), (0, 3), (1, 0))[min(4, int(rng.expovariate(0.8)))] for _ in range(3000)]
    fast, slow = review_stats.estimate_agreement(units, "binary"), alpha_interval(np.array(units))
    assert (fast.value, fast.n) == (slow.value, slow.n)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.01)
    rankings = [[[0, 1, 2], rng.choice([[0, 1, 2], [1, 0, 2], [2, 1, 0]])] for _ in range(900)]
    answers = [
        [
            RankingJudgement(
                id=f"{n}.{who}", annotator=str(who), concept="badge", kind="ranking",
                groups=tuple((f"p{places.index(k)}",) for k in range(3)),
            )
            for who, places in enumerate(pair)
        ]
        for n, pair in enumerate(rankings)
    ]  # fmt: skip
    fast = review_stats.estimate_agreement([review_stats.make_agreement_unit(own) for own in answers], "ranking")
    slow = mean_w_interval(np.array(pair) for pair in rankings)
    assert fast.value == pytest.approx(slow.value) and fast.n == slow.n
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.02)
