"""A person leaves: the link, and on request what they said."""

from datetime import UTC, datetime, timedelta

from hfi_core.feedback.store import JudgingProgress
from tests.support.stored_judgements import CONCEPT, binary, candidates, ids, ranking


def fill(store) -> None:
    store.offer(CONCEPT, candidates(3))
    store.add(binary("j-1", "ana", "p0"))
    store.add(binary("j-2", "ana", "p0", "no", supersedes="j-1"))
    store.add(ranking("r-1", "ana", ("p1",), ("p2",)))
    store.add(binary("j-3", "bo", "p0"))
    store.add_batch("k", [binary("i-1", "ana", "p1"), binary("i-2", "bo", "p1")], source="file")


def test_without_their_judgements_only_what_they_were_given_goes(store, tmp_path):
    fill(store)
    before = store.snapshot(tmp_path / "f")
    assert store.forget("ana") == 0
    assert store.snapshot(tmp_path / "f").sha256 == before.sha256


def test_with_their_judgements_nothing_of_them_stays(store, tmp_path):
    fill(store)
    before = store.snapshot(tmp_path / "f")
    assert store.forget("ana", judgements=True) == 4
    assert ids(store.judgements()) == ["i-2", "j-3"] and store.annotators() == ["bo"]
    after = store.snapshot(tmp_path / "f")
    assert after.sha256 != before.sha256 and b"ana" not in (tmp_path / "f").read_bytes()
    assert [one.judgements for one in store.snapshots()] == [6, 2]
    assert store.progress(CONCEPT, 1) == JudgingProgress(pictures=3, done=2, asked=3, answered=2, annotators=1)
    assert sum(1 for _ in store.lines_of(store.snapshots()[0].number)) == 2


def test_their_turns_are_free_again(store):
    fill(store)
    now, lease = datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=1)
    store.assign(CONCEPT, "cy", count=1, judgements=1, lease=lease, now=now)
    store.forget("ana", judgements=True)
    store.forget("cy")
    given = store.assign(CONCEPT, "dee", count=9, judgements=1, lease=lease, now=now)
    assert [one.picture for one in given] == ["p2"]


def test_nothing_forgotten_is_left_in_the_file(tmp_path):
    from hfi_core.feedback.store import open_store

    path = tmp_path / "feedback.db"
    with open_store(f"sqlite:///{path}") as store:
        store.add(binary("j-1", "ana", note="the secret of ana"))
        store.forget("ana", judgements=True)
    left = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"the secret of ana" not in left
