"""Many judgements at once: all or none, once, and others go on judging meanwhile."""

import subprocess
import sys
import threading
import time
import tracemalloc

import pytest

from hfi_core.feedback.store import Conflict, ImportedBatch, batches, open_store
from tests.support.projects import REPOSITORY
from tests.support.stored_judgements import binary, candidates, ids, many, ranking


def test_judgements_count_all_at_once(store, monkeypatch):
    monkeypatch.setattr(batches, "SLICE_SIZE", 10)
    seen = set()

    def watched():
        for one in many(95):
            seen.add(len(ids(store.read_judgements())))
            yield one

    assert store.add_batch("k", watched(), source="file") == ImportedBatch(new=95, known=0)
    assert seen == {0} and len(ids(store.read_judgements())) == 95


def test_the_same_import_again_changes_nothing_and_reads_nothing(store):
    store.add_batch("k", many(9), source="file")

    def unread():
        raise AssertionError("it was read")
        yield

    assert store.add_batch("k", unread(), source="file") == ImportedBatch(new=0, known=9)
    assert len(ids(store.read_judgements())) == 9


def test_what_is_there_already_is_known(store):
    store.add(binary("j-000000", "a0", "p0"))
    store.add_batch("k", many(6), source="file")
    assert store.add_batch("other", many(9), source="file") == ImportedBatch(new=3, known=6)
    assert store.add_batch("twice", [*many(9), *many(12)], source="file") == ImportedBatch(new=3, known=18)


@pytest.mark.parametrize(
    "last",
    [
        binary("j-000000", "a0", "p0", "no"),
        binary("x-1", "a0", "p0"),
        binary("x-1", "a0", "p0", supersedes="x-0"),
        binary("x-1", "a1", "p0", supersedes="j-000000"),
        binary("there", "zoe", "p9", "no"),
        binary("x-1", "zoe", "p9", "no"),
    ],
    ids=[
        "an id of the file", "a question of the file", "superseding nothing", "superseding another's",
        "an id of the store", "a question of the store",
    ],
)  # fmt: skip
def test_one_conflict_and_nothing_of_the_import_stays(store, monkeypatch, last):
    monkeypatch.setattr(batches, "SLICE_SIZE", 10)
    store.add(binary("there", "zoe", "p9"))
    with pytest.raises(Conflict) as refused:
        store.add_batch("k", [*many(25), last], source="file")
    assert refused.value.id == last.id
    assert ids(store.read_judgements()) == ["there"]
    assert store.add_batch("k", many(25), source="file") == ImportedBatch(new=25, known=0)


def test_an_error_of_the_reader_leaves_nothing(store):
    def broken():
        yield from many(400)
        raise ValueError("line 401")

    with pytest.raises(ValueError, match="line 401"):
        store.add_batch("k", broken(), source="file")
    assert ids(store.read_judgements()) == [] and store.add_batch("k", many(3), source="f").new == 3


def test_corrections_may_come_in_any_order(store, monkeypatch):
    monkeypatch.setattr(batches, "SLICE_SIZE", 1)
    store.add(binary("j-0"))
    chain = [
        binary("j-3", answer="no", supersedes="j-2"),
        binary("j-1", answer="no", supersedes="j-0"),
        binary("j-2", supersedes="j-1"),
        ranking("r-2", "bo", ("p1",), ("p2",), supersedes="r-1"),
        ranking("r-1", "bo", ("p2",), ("p1",)),
    ]
    assert store.add_batch("k", chain, source="file").new == 5
    assert ids(store.read_judgements(counting=True)) == ["j-3", "r-2"]


def test_corrections_in_a_circle_are_refused(store):
    circle = [binary("j-1", supersedes="j-2"), binary("j-2", answer="no", supersedes="j-1")]
    with pytest.raises(Conflict):
        store.add_batch("k", [binary("j-0", "bo"), *circle], source="file")
    assert ids(store.read_judgements()) == []


def test_a_person_s_answer_goes_before_an_import_that_is_under_way(store):
    def slow():
        yield from many(batches.SLICE_SIZE)
        yield binary("x", "zoe")
        store.add(binary("j-000001", "a1", "p0", "no"))  # the same id, staged by now, and another answer
        yield from (binary(f"y-{n}", "zoe", f"q{n}") for n in range(batches.SLICE_SIZE))

    with pytest.raises(Conflict, match="None of its judgements count"):
        store.add_batch("k", slow(), source="file")
    assert ids(store.read_judgements()) == ["j-000001"]


def test_a_second_import_of_the_same_file_takes_over(store):
    def slow():
        yield from many(batches.SLICE_SIZE)
        assert store.add_batch("k", many(300), source="file").new == 300
        yield binary("z-1", "zoe")

    with pytest.raises(Conflict, match="run it again"):
        store.add_batch("k", slow(), source="file")
    assert len(ids(store.read_judgements())) == 300


_IMPORT = """
import sys, time
from hfi_core.feedback.store import open_store
from tests.support.stored_judgements import many
def slow():
    yield from many(600)
    print("staged", flush=True)
    time.sleep(600)
open_store(sys.argv[1]).add_batch("k", slow(), source="file")
"""


@pytest.mark.integration
def test_a_killed_import_leaves_nothing_that_counts_and_can_be_done_again(url):
    process = subprocess.Popen([sys.executable, "-c", _IMPORT, url], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "staged\n"
    process.kill()
    process.wait()
    process.stdout.close()
    with open_store(url) as store:
        assert ids(store.read_judgements()) == []
        assert store.add_batch("other", many(300), source="file").new == 300
        assert store.add_batch("k", many(600), source="file") == ImportedBatch(new=300, known=300)


def test_others_go_on_judging_while_an_import_runs(store):
    store.offer("badge", candidates(50))
    waits, done = [], threading.Event()

    def judge() -> None:
        for n in range(10_000):
            if done.is_set():
                return
            began = time.monotonic()
            store.add(binary(f"live-{n}", "zoe", f"live{n}"))
            waits.append(time.monotonic() - began)
            time.sleep(0.02)

    judging = threading.Thread(target=judge)
    judging.start()
    start = time.monotonic()
    try:
        assert store.add_batch("k", many(3000), source="file").new == 3000
        seconds = time.monotonic() - start
    finally:
        done.set()
        judging.join()
    assert len(waits) > 1 and max(waits) < max(5, seconds / 2), "an import held a judgement up"
    assert store.count_progress("badge", 3).done == 50


def test_an_import_s_memory_does_not_grow_with_it(store):
    store.add_batch("warm", many(300), source="file")

    def peak(key: str, count: int) -> int:
        tracemalloc.start()
        store.add_batch(key, (binary(f"{key}-{n}", key, f"p{n}") for n in range(count)), source="file")
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak("long", 4000) < 2 * peak("short", 1000)


def test_an_import_that_was_killed_while_it_counted_keeps_no_picture_from_being_asked(store, monkeypatch):
    store.offer("badge", candidates(4))
    database = store._database
    mine = database.write(lambda connection: batches._begin(connection, "k", "file"))
    batches._stage(database, mine, many(12))
    batches._count_answers(database, mine)
    assert store.count_progress("badge", 3).done == 4 and ids(store.read_judgements()) == []
    monkeypatch.setattr(batches, "_MAX_SILENT_SECONDS", -1.0)
    store.offer("badge", candidates(4))
    assert store.count_progress("badge", 3).answered == 0
    monkeypatch.undo()
    assert store.add_batch("k", many(12), source="file").new == 12
    assert store.count_progress("badge", 3).done == 4


def test_pictures_answered_by_an_import_under_way_or_refused_are_counted_right(store, monkeypatch):
    monkeypatch.setattr(batches, "SLICE_SIZE", 5)
    store.offer("badge", candidates(4))
    store.add(binary("live", "zoe", "p0"))
    with pytest.raises(Conflict):
        store.add_batch("k", [*many(12), binary("x", "a0", "p0", supersedes="nothing")], source="file")
    assert store.count_progress("badge", 3).answered == 1
