"""The canonical file."""

import hashlib
from datetime import timedelta, timezone
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.feedback.reader import read_judgements
from hfi_core.feedback.store import open_store
from tests.support.stored_judgements import binary, ids, many, ranking

_NOTES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.none() | st.datetimes(timezones=_ZONES)


@st.composite
def histories(draw) -> list:
    """Judgements with corrections of them, each after what it corrects."""
    found = []
    for n in range(draw(st.integers(1, 6))):
        annotator = draw(st.sampled_from(["ana", "b\u00f6", "\U0001f98a"]))
        id, last = draw(st.sampled_from("aAzZ09")) + f"-{n}", None
        for turn in range(draw(st.integers(1, 3))):
            more = {
                "note": draw(st.none() | _NOTES), "shown_at": draw(_MOMENTS), "simulated": draw(st.booleans()),
                "supersedes": last,
            }  # fmt: skip
            last = f"{id}.{turn}"
            found.append(
                ranking(last, annotator, (f"p{n}",), ("q",), **more)
                if n % 2
                else binary(last, annotator, f"p{n}", draw(st.sampled_from(["yes", "no", "cant_tell"])), **more)
            )
    return found


def test_the_same_judgements_give_the_same_bytes_in_any_order_and_database(new_url, tmp_path):
    number = count()

    @given(histories(), st.randoms(use_true_random=False))
    @settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
    def check(history, chance):
        with open_store(f"sqlite:///{tmp_path}/by-one-{next(number)}.db") as store:
            for one in history:
                store.add(one)
            first = store.take_snapshot(tmp_path / "one.jsonl")
        shuffled = chance.sample(history, len(history))
        with open_store(new_url()) as store:
            store.add_batch("k", shuffled, source="file")
            second = store.take_snapshot(tmp_path / "other.jsonl")
        content = (tmp_path / "one.jsonl").read_bytes()
        assert content == (tmp_path / "other.jsonl").read_bytes()
        assert first.sha256 == second.sha256 == hashlib.sha256(content).hexdigest()
        assert [one for _, one in read_judgements(tmp_path / "one.jsonl")] == sorted(history, key=lambda one: one.id)

    check()


def test_a_file_that_says_the_same_is_left_alone(store, tmp_path):
    path = tmp_path / "deep" / "feedback.jsonl"
    store.add(binary("j-1"))
    first = store.take_snapshot(path)
    before = path.stat()
    second = store.take_snapshot(path)
    assert (first.written, second.written) == (True, False)
    assert (second.sha256, second.judgements) == (first.sha256, 1)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(store.list_snapshots()) == 1 and [one.name for one in path.parent.iterdir()] == ["feedback.jsonl"]


def test_an_empty_store_gives_an_empty_file(store, tmp_path):
    assert store.take_snapshot(tmp_path / "f").judgements == 0
    assert (tmp_path / "f").read_bytes() == b""


def test_earlier_snapshots_can_be_read_again(store, tmp_path):
    contents = []
    for turn in range(3):
        store.add(binary(f"j-{turn}", "ana", f"p{turn}"))
        store.add_batch(f"k{turn}", [binary(f"i-{turn}", "bo", f"p{turn}")], source="file")
        assert store.count_unsaved() == 2
        store.take_snapshot(tmp_path / "f")
        assert store.count_unsaved() == 0
        contents.append((tmp_path / "f").read_text())
    saved = store.list_snapshots()
    assert [one.judgements for one in saved] == [2, 4, 6]
    for one, content in zip(saved, contents, strict=True):
        assert "".join(f"{line}\n" for line in store.read_snapshot_lines(one.number)) == content
        assert hashlib.sha256(content.encode()).hexdigest() == one.sha256


def test_a_snapshot_names_who_is_in_it(store, tmp_path):
    store.add(binary("j-1", "ana"))
    store.take_snapshot(tmp_path / "f")
    store.add_batch("k", [binary("j-2", "bo")], source="file")
    store.take_snapshot(tmp_path / "f")
    assert [one.judgements for one in store.list_snapshots_with("ana")] == [1, 2]
    assert [one.judgements for one in store.list_snapshots_with("bo")] == [2]
    assert store.list_snapshots_with("cy") == []


def test_a_snapshot_of_many_is_whole(store, tmp_path):
    store.add_batch("k", many(2500), source="file")
    for n in range(5):
        store.add(binary(f"live-{n}", "zoe", f"p{n}"))
    assert store.take_snapshot(tmp_path / "f").judgements == 2505
    assert ids(one for _, one in read_judgements(tmp_path / "f")) == ids(store.read_judgements())


def test_what_the_store_lacks_is_named(store):
    store.add(binary("j-1"))
    assert list(store.find_missing(["j-0", "j-1", "j-2"])) == ["j-0", "j-2"]
