"""A picture that is drawn anew under its old id is another picture: for the store, for the wait, and for the labels."""

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.labels import read_labels, read_summary
from hfi_core.feedback.sufficiency import assess_sufficiency
from hfi_core.params import parse_params
from hfi_core.pipeline.stage import StageContext
from hfi_core.stages.ingest import run
from tests.hfi_core.feedback.store.test_assignment import LEASE, NOW, give
from tests.support.judging import candidate, write_manifest
from tests.support.projects import default_raw
from tests.support.stored_judgements import CONCEPT, SHA, binary, candidates, ranking

FIRST = [candidate(f"badge-{k}", f"{k:064x}") for k in range(12)]
SECOND = [candidate(one.id, f"{k + 100:064x}") for k, one in enumerate(FIRST[:10])]
"""Drawn anew by another sampler; two prompts were taken out."""


def _params(live: bool = True):
    raw = default_raw()
    raw["feedback"] |= {"minimum": 1, "store": live, "agreement": {"warn_below": -1.0, "refuse_below": None}}
    raw["feedback"] |= {"simulated": {}, "file": "data/feedback/people.jsonl"} if live else {}
    raw["reward"]["least"] = 4
    raw["feedback"]["held_out_for_attacks"] = 0.3
    return parse_params(raw)


def _judge(store, pictures, names: str) -> None:
    """Everybody judges what they are given until there is nothing left."""
    digests = {one.id: one.sha256 for one in pictures}
    for name in names:
        while given := store.assign(CONCEPT, name, count=5, judgements=2, lease=LEASE, now=NOW):
            for one in given:
                assert one.sha256 == digests[one.picture]
                answer = "no" if int(one.picture[-1]) % 2 else "yes"
                store.add(binary(f"{name}.{one.sha256[-3:]}", name, one.picture, answer, sha256=one.sha256))


def _need(store, pictures):
    names = {one.id for one in pictures}
    return assess_sufficiency(_params(), CONCEPT, pictures, store.read_judgements(CONCEPT, counting=True), names)


def _ingest(store, folder, pictures, live: bool = True):
    store.take_snapshot(folder / "people.jsonl")
    write_manifest(folder / "candidates", pictures)
    inputs = {"feedback": folder / "people.jsonl", "candidates": folder / "candidates"}
    return run(StageContext(_params(live), inputs, {"labels": folder / "labels"}, CONCEPT))


def test_redrawn_pictures_are_judged_anew_by_the_same_people_and_the_old_answers_are_left_out(store, tmp_path):
    store.offer(CONCEPT, FIRST)
    _judge(store, FIRST, "ab")
    assert _need(store, FIRST).labelled > 4 and store.count_progress(CONCEPT, 2).done == 12
    assert _ingest(store, tmp_path, FIRST)["stale"] == 0

    store.offer(CONCEPT, SECOND, only=True)
    assert store.count_progress(CONCEPT, 2).done == 0
    assert _need(store, SECOND).labelled == 0
    _judge(store, SECOND, "ab")
    assert store.count_progress(CONCEPT, 2).done == 10
    assert _need(store, SECOND).labelled > 4
    with pytest.warns(UserWarning, match="badge: 24 judgements on pictures that were removed or redrawn"):
        figures = _ingest(store, tmp_path, SECOND)
    assert (figures["pictures"], figures["judgements"], figures["stale"]) == (10, 20, 24)
    assert {one.sha256 for one in read_labels(tmp_path / "labels")} == {one.sha256 for one in SECOND}
    assert read_summary(tmp_path / "labels")["stale"] == 24


def test_a_file_that_somebody_hands_over_is_held_to_the_pictures_that_are_there(store, tmp_path):
    store.offer(CONCEPT, FIRST)
    _judge(store, FIRST, "a")
    with pytest.raises(UserError, match="line 1, sha256"):
        _ingest(store, tmp_path, SECOND, live=False)


def test_what_was_given_or_skipped_before_a_picture_was_redrawn_does_not_keep_the_new_one_away(store):
    store.offer(CONCEPT, candidates(2))
    assert give(store, "ana", 2) == ["p0", "p1"]
    store.skip(CONCEPT, "ana", "p0")
    store.offer(CONCEPT, [one.model_copy(update={"sha256": "ab" * 32}) for one in candidates(2)])
    given = store.assign(CONCEPT, "ana", count=2, judgements=1, lease=LEASE, now=NOW)
    assert [(one.picture, one.sha256) for one in given] == [("p0", "ab" * 32), ("p1", "ab" * 32)]


def test_a_ranking_of_redrawn_pictures_is_another_question_too(store):
    store.offer(CONCEPT, candidates(2))
    store.add(ranking("r-1", "ana", ("p0",), ("p1",), digests={"p0": SHA, "p1": SHA}))
    assert store.count_progress(CONCEPT, 1).done == 2
    redrawn = [one.model_copy(update={"sha256": "ab" * 32}) for one in candidates(2)]
    store.offer(CONCEPT, redrawn[:1])
    assert store.count_progress(CONCEPT, 1).done == 1
    assert store.add(ranking("r-2", "ana", ("p0",), ("p1",), digests={"p0": "ab" * 32, "p1": SHA}))
    assert store.count_progress(CONCEPT, 1).done == 2


def test_a_ranking_without_digests_counts_whatever_the_pictures_are(store):
    store.offer(CONCEPT, candidates(2))
    store.add(ranking("r-1", "ana", ("p0",), ("p1",)))
    assert store.count_progress(CONCEPT, 1).done == 2
