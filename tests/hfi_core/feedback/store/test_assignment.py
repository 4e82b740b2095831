"""Who is given which picture."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from hfi_core.feedback.store import JudgingProgress
from tests.support.stored_judgements import CONCEPT, SHA, binary, candidates, ranking

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LEASE = timedelta(minutes=10)


def give(store, annotator: str, count: int = 1, judgements: int = 1, now: datetime = NOW) -> list[str]:
    given = store.assign(CONCEPT, annotator, count=count, judgements=judgements, lease=LEASE, now=now)
    assert all(one.concept == CONCEPT and one.sha256 == SHA and one.expires_at == now + LEASE for one in given)
    return [one.picture for one in given]


def test_the_highest_priority_is_asked_first(store):
    store.offer(CONCEPT, candidates(4), priority={"p2": 0.5, "p1": -1.0})
    assert give(store, "ana", 9) == ["p2", "p0", "p3", "p1"]


def test_a_later_offer_changes_what_it_names_and_keeps_the_rest(store):
    store.offer(CONCEPT, candidates(3), priority={"p2": 0.5}, random=frozenset({"p1"}))
    store.offer(CONCEPT, candidates(4), priority={"p1": 0.9}, random=frozenset({"p3"}))
    assert give(store, "ana", 9) == ["p1", "p2", "p0", "p3"]
    assert store.read_random_sample(CONCEPT) == {"p1", "p3"}
    assert store.read_random_sample("other") == frozenset()


def test_nothing_is_given_that_was_not_offered(store):
    store.offer("other", candidates(3))
    assert give(store, "ana") == []


def test_one_s_own_pictures_come_back_first_and_others_get_other_ones(store):
    store.offer(CONCEPT, candidates(4))
    assert give(store, "ana", 2) == ["p0", "p1"]
    assert give(store, "bo", 1) == ["p2"]
    assert give(store, "ana", 2, now=NOW + timedelta(minutes=9)) == ["p0", "p1"]
    assert give(store, "ana", 3, now=NOW + timedelta(minutes=18)) == ["p0", "p1", "p2"]  # bo's has run out


def test_what_is_withdrawn_is_neither_asked_nor_counted_and_comes_back_as_it_was(store):
    store.offer(CONCEPT, candidates(3), priority={"p2": 0.5}, random=frozenset({"p2"}))
    store.offer("other", candidates(3))
    assert give(store, "ana", 1) == ["p2"]
    store.offer(CONCEPT, candidates(2), only=True)
    assert give(store, "ana", 9) == ["p0", "p1"]
    assert store.count_progress(CONCEPT, 1).pictures == 2 and store.count_progress("other", 1).pictures == 3
    store.offer(CONCEPT, candidates(3), only=True)
    assert give(store, "bo", 9) == [] and give(store, "ana", 9) == ["p2", "p0", "p1"]
    assert store.read_random_sample(CONCEPT) == {"p2"}


def test_what_an_import_answers_is_asked_no_more_although_it_is_kept_for_its_annotator(store):
    store.offer(CONCEPT, candidates(2))
    assert give(store, "ana", 1) == ["p0"]
    store.add_batch("k", [binary("j-1", "ana", "p0")], source="file")
    assert give(store, "ana", 1) == ["p1"]


def test_what_is_given_back_is_free_for_all_but_what_was_skipped_stays_skipped(store):
    store.offer(CONCEPT, candidates(2))
    assert give(store, "ana", 2) == ["p0", "p1"]
    store.skip(CONCEPT, "ana", "p0")
    assert store.list_leased(CONCEPT, "ana", NOW) == {"p1"} and not store.list_leased(CONCEPT, "ana", NOW + LEASE)
    store.return_pictures(CONCEPT, "ana", ["p0", "p1"])
    assert give(store, "bo", 2) == ["p0", "p1"]
    store.return_pictures(CONCEPT, "bo", ["p0", "p1"])
    assert give(store, "ana", 2) == ["p1"]


def test_a_lease_runs_out(store):
    store.offer(CONCEPT, candidates(1))
    assert give(store, "ana") == ["p0"]
    assert give(store, "bo") == []
    assert give(store, "bo", now=NOW + LEASE) == ["p0"]
    assert give(store, "ana", now=NOW + LEASE) == []


def test_who_answers_after_the_lease_ran_out_is_heard_all_the_same(store):
    store.offer(CONCEPT, candidates(1))
    give(store, "ana")
    give(store, "bo", now=NOW + LEASE)
    assert store.add(binary("j-1", "ana", "p0"))
    assert give(store, "bo", now=NOW + 2 * LEASE) == []


def test_what_is_judged_is_not_given_again(store):
    store.offer(CONCEPT, candidates(2))
    assert give(store, "ana", judgements=2) == ["p0"]
    store.add(binary("j-1", "ana", "p0"))
    assert give(store, "ana", judgements=2) == ["p1"]
    assert give(store, "bo", judgements=2) == ["p0"]
    store.add(binary("j-2", "bo", "p0", "no"))
    assert give(store, "cy", judgements=2) == ["p1"]


def test_a_correction_takes_no_other_s_turn(store):
    store.offer(CONCEPT, candidates(1))
    store.add(binary("j-1", "ana", "p0"))
    store.add(binary("j-2", "ana", "p0", "no", supersedes="j-1"))
    assert give(store, "ana", judgements=2) == []
    assert give(store, "bo", judgements=2) == ["p0"]


def test_a_skipped_picture_goes_to_others_and_never_comes_back(store):
    store.offer(CONCEPT, candidates(1))
    assert give(store, "ana") == ["p0"]
    store.skip(CONCEPT, "ana", "p0")
    assert give(store, "ana") == [] == give(store, "ana", now=NOW + 9 * LEASE)
    assert give(store, "bo") == ["p0"]


def test_every_picture_of_a_ranking_is_judged(store):
    store.offer(CONCEPT, candidates(4))
    assert give(store, "ana", 3) == ["p0", "p1", "p2"]
    store.add(ranking("r-1", "ana", ("p0",), ("p1",), not_applicable=("p2",)))
    assert give(store, "ana", 3) == ["p3"]
    assert store.count_progress(CONCEPT, 1) == JudgingProgress(pictures=4, done=3, asked=4, answered=3, annotators=1)


def test_judgements_that_came_before_the_offer_count(store):
    store.add(binary("j-1", "ana", "p0"))
    store.add_batch("k", [binary("j-2", "bo", "p0"), binary("j-3", "bo", "p1")], source="file")
    store.offer(CONCEPT, candidates(3))
    assert store.count_progress(CONCEPT, 2) == JudgingProgress(pictures=3, done=1, asked=6, answered=3, annotators=2)
    assert give(store, "bo", 9, judgements=2) == ["p2"]


def test_imported_judgements_take_their_turns(store):
    store.offer(CONCEPT, candidates(3))
    store.add_batch("k", [binary("j-1", "bo", "p0"), binary("j-2", "cy", "p0"), binary("j-3", "bo", "p1")], source="f")
    assert store.count_progress(CONCEPT, 2) == JudgingProgress(pictures=3, done=1, asked=6, answered=3, annotators=2)
    assert give(store, "ana", 9, judgements=2) == ["p1", "p2"]


def test_more_answers_than_wanted_do_not_count_as_progress(store):
    store.offer(CONCEPT, candidates(2))
    for annotator in ("ana", "bo", "cy"):
        store.add(binary(f"j-{annotator}", annotator, "p0"))
    assert store.count_progress(CONCEPT, 2) == JudgingProgress(pictures=2, done=1, asked=4, answered=2, annotators=3)


def test_sixteen_at_once_never_collide(store):
    pictures, wanted = 24, 3
    store.offer(CONCEPT, candidates(pictures))

    def judge(annotator: str) -> list[str]:
        seen = []
        while given := give(store, annotator, 2, judgements=wanted):
            for picture in given:
                seen.append(picture)
                assert store.add(binary(f"{annotator}-{picture}", annotator, picture))
        return seen

    with ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(judge, (f"a{n}" for n in range(16))))
    assert all(len(set(one)) == len(one) for one in seen), "somebody saw a picture twice"
    assert Counter(picture for one in seen for picture in one) == {f"p{n}": wanted for n in range(pictures)}
    assert store.count_progress(CONCEPT, wanted).answered == pictures * wanted


def test_sixteen_who_are_given_pictures_at_once_get_no_more_than_are_wanted(store):
    store.offer(CONCEPT, candidates(10))
    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(lambda n: give(store, f"a{n}", 3, judgements=2), range(16)))
    counted = Counter(picture for one in given for picture in one)
    assert set(counted.values()) == {2} and len(counted) == 10
