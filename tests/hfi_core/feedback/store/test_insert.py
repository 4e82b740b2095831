"""One judgement at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hfi_core.errors import UserError
from hfi_core.feedback.store import Conflict
from tests.support.stored_judgements import SHA, binary, ids, ranking


def test_a_judgement_comes_back_as_it_was(store):
    one = binary(
        "j-1", "ana", "p1", "no", simulated=True,
        note="\x00 <b>=1+1</b> \U0001f98a \u2028",
        shown_at=datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
        answered_at=datetime(2026, 1, 2, 5, 4, 9, tzinfo=timezone(timedelta(hours=2))),
    )  # fmt: skip
    order = ranking("r-1", "ana", ("p1",), ("p2", "p3"), not_applicable=("p4",))
    assert store.add(one) and store.add(order)
    assert store.get("j-1") == one and store.get("r-1") == order and store.get("j-2") is None
    assert list(store.read_judgements()) == [one, order]


def test_the_same_judgement_twice_is_kept_once(store):
    assert store.add(binary("j-1")) is True
    assert store.add(binary("j-1")) is False
    assert ids(store.read_judgements()) == ["j-1"]


def test_the_same_moment_in_another_zone_is_the_same_judgement(store):
    moment = datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert store.add(binary("j-1", answered_at=moment))
    assert not store.add(binary("j-1", answered_at=moment.astimezone(timezone(timedelta(hours=-7)))))


def test_an_id_stands_for_one_judgement(store):
    store.add(binary("j-1", answer="yes"))
    with pytest.raises(Conflict, match="'j-1' is already in the store with other content") as refused:
        store.add(binary("j-1", answer="no"))
    assert refused.value.id == refused.value.existing == "j-1"
    assert store.get("j-1").answer == "yes"


def test_a_conflict_is_a_user_error():
    assert issubclass(Conflict, UserError)


def test_a_correction_supersedes_and_the_history_stays(store):
    for one in (
        binary("j-1"),
        binary("j-2", answer="no", supersedes="j-1"),
        binary("j-3", answer="cant_tell", supersedes="j-2"),
        binary("j-4", "bo"),
    ):
        assert store.add(one)
    assert ids(store.read_judgements()) == ["j-1", "j-2", "j-3", "j-4"]
    assert ids(store.read_judgements(counting=True)) == ["j-3", "j-4"]


@pytest.mark.parametrize(
    "correction",
    [
        binary("j-9", supersedes="j-0"),
        binary("j-9", supersedes="j-9"),
        binary("j-9", "bo", supersedes="j-1"),
        binary("j-9", picture="p2", supersedes="j-1"),
        binary("j-9", concept="other", supersedes="j-1"),
        ranking("j-9", "ana", ("p1",), supersedes="j-1"),
    ],
    ids=["nothing", "itself", "another annotator's", "another picture", "another concept", "another kind"],
)
def test_only_one_s_own_answer_to_the_same_question_is_corrected(store, correction):
    store.add(binary("j-1"))
    with pytest.raises(Conflict, match="not a judgement by the same annotator on the same question"):
        store.add(correction)
    assert ids(store.read_judgements()) == ["j-1"]


def test_what_is_superseded_is_not_superseded_again(store):
    store.add(binary("j-1"))
    store.add(binary("j-2", answer="no", supersedes="j-1"))
    with pytest.raises(Conflict, match="which 'j-2' has already superseded") as refused:
        store.add(binary("j-3", supersedes="j-1"))
    assert refused.value.existing == "j-2"


def test_a_question_is_answered_once_and_then_corrected(store):
    store.add(binary("j-1"))
    store.add(binary("j-2", answer="no", supersedes="j-1"))
    with pytest.raises(Conflict, match="let its `supersedes` name that one") as refused:
        store.add(binary("j-3"))
    assert refused.value.existing == "j-2"
    assert store.add(binary("j-3", supersedes=refused.value.existing))


def test_rankings_of_the_same_pictures_are_one_question(store):
    store.add(ranking("r-1", "ana", ("p1",), ("p2",)))
    with pytest.raises(Conflict):
        store.add(ranking("r-2", "ana", ("p2",), not_applicable=("p1",)))
    assert store.add(ranking("r-2", "ana", ("p2",), ("p1",), supersedes="r-1"))
    assert store.add(ranking("r-3", "ana", ("p2",), ("p3",)))


def test_judgements_are_asked_for_by_concept_and_annotator(store):
    store.add(binary("j-1", "ana", "p1"))
    store.add(binary("j-2", "bo", "p1"))
    store.add(binary("j-3", "ana", "p1", concept="other", sha256=SHA))
    assert ids(store.read_judgements("badge")) == ["j-1", "j-2"]
    assert ids(store.read_judgements(annotator="ana")) == ["j-1", "j-3"]
    assert ids(store.read_judgements("other", annotator="bo")) == []
    assert store.list_annotators() == ["ana", "bo"]


def test_ids_are_sorted_by_their_bytes(store):
    names = ["B", "a", "a-1", "a.1", "a1", "A_1", "a:", "Z@", "0"]
    for n, name in enumerate(names):
        store.add(binary(name, "ana", f"p{n}"))
    assert ids(store.read_judgements()) == sorted(names)


def test_a_reader_sees_one_moment(store):
    for n in range(3):
        store.add(binary(f"j-{n}", picture=f"p{n}"))
    reading = store.read_judgements()
    first = next(reading)
    store.add(binary("j-9", picture="p9"))
    assert ids([first, *reading]) == ["j-0", "j-1", "j-2"]


def test_many_who_send_the_same_at_once_leave_one(store):
    with ThreadPoolExecutor(16) as pool:
        new = list(pool.map(lambda _: store.add(binary("j-1")), range(48)))
    assert sum(new) == 1 and ids(store.read_judgements()) == ["j-1"]


def test_of_many_corrections_at_once_one_wins(store):
    store.add(binary("j-0"))

    def correct(n: int) -> bool:
        try:
            return store.add(binary(f"c-{n}", answer="no", supersedes="j-0"))
        except Conflict:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(correct, range(32))) == 1
    assert len(list(store.read_judgements())) == 2
