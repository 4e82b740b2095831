"""Which of one annotator's answers to one question counts."""

from hfi_core.feedback.formats.supersession import StagedAnswer, resolve_chains


def said(
    id: str, content: str, at: str | None = None, *, derived: bool = True, after: str | None = None, place="line 1"
):
    return StagedAnswer(place, id, derived, content, at, after)


def there(id: str, content: str, at: str | None = None, after: str | None = None) -> StagedAnswer:
    return said(id, content, at, derived=False, after=after, place="")


def test_a_later_answer_supersedes_an_earlier_one_in_whatever_order_they_come():
    for rows in ([said("a", "yes", "1"), said("b", "no", "2")], [said("b", "no", "2"), said("a", "yes", "1")]):
        resolved = resolve_chains(rows, [])
        assert [(row.id, row.supersedes) for row in resolved.correcting] == [("b", "a")]
        assert not resolved.rejected


def test_a_mind_changed_twice_is_a_chain():
    resolved = resolve_chains([said("a", "yes", "1"), said("b", "no", "2"), said("c", "yes", "3")], [])
    assert [(row.id, row.supersedes) for row in resolved.correcting] == [("b", "a"), ("c", "b")]


def test_an_answer_supersedes_the_last_one_in_the_store():
    resolved = resolve_chains([said("c", "yes", "3")], [there("a", "yes", "1"), there("b", "no", "2", after="a")])
    assert [(row.id, row.supersedes) for row in resolved.correcting] == [("c", "b")]


def test_what_is_older_than_the_store_s_answer_is_outdated():
    assert [row.id for row in resolve_chains([said("a", "yes", "1")], [there("b", "no", "2")]).outdated] == ["a"]


def test_the_same_answer_without_a_time_is_known():
    assert [row.id for row in resolve_chains([said("a", "yes")], [there("b", "yes", "2")]).known] == ["a"]


def test_two_answers_without_times_are_for_the_person_to_decide():
    ((row, reason),) = resolve_chains([said("a", "yes"), said("b", "no")], []).rejected
    assert row.id == "b" and "no times say which counts" in reason
    ((row, reason),) = resolve_chains([said("a", "yes", "1")], [there("b", "no", "1")]).rejected
    assert row.id == "a" and "in the store" in reason


def test_a_second_beginning_is_rejected():
    rows = [said("a", "yes", derived=False), said("b", "no", derived=False, place="line 2")]
    ((row, reason),) = resolve_chains(rows, []).rejected
    assert row.id == "b" and "line 1" in reason


def test_superseding_nothing_or_the_same_twice_is_rejected():
    rows = [
        said("a", "yes", derived=False),
        said("b", "no", derived=False, after="a"),
        said("c", "no", derived=False, after="a"),
        said("d", "no", derived=False, after="z"),
    ]
    assert [row.id for row, _ in resolve_chains(rows, []).rejected] == ["c", "d"]


def test_answers_that_supersede_each_other_in_a_circle_are_rejected():
    rows = [said("a", "yes", derived=False, after="b"), said("b", "no", derived=False, after="a")]
    assert sorted(row.id for row, _ in resolve_chains(rows, []).rejected) == ["a", "b"]
