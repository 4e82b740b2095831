"""The server's own times of questions and answers, and what they leave of the browser's."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hfi_core.annotation.service.receipts import Receipts, check_times
from hfi_core.annotation.service.state import ServerState
from hfi_core.feedback.schema import BinaryJudgement
from hfi_core.feedback.store import Conflict

ISSUED = datetime(2026, 11, 29, 9, tzinfo=UTC)
RECEIVED = ISSUED + timedelta(seconds=60)


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else ISSUED + timedelta(seconds=seconds)


def answer(shown: datetime | None, answered: datetime | None, **more) -> BinaryJudgement:
    return BinaryJudgement(
        **{"id": "one", "annotator": "ana", "concept": "badge", "kind": "binary", "picture": "p", "sha256": "0" * 64}
        | {"answer": "yes", "shown_at": shown, "answered_at": answered}
        | more
    )


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ((10, 12), (10, 12)), ((0, 60), (0, 60)), ((None, None), (None, None)),
        ((12, 10), (0, 60)),  # answered before it was shown
        ((-3600, -3590), (0, 10)),  # a clock that is slow by an hour
        ((3600, 3610), (50, 60)),  # a fast one
        ((-5, 5), (0, 10)), ((55, 65), (50, 60)),
        ((-3600, 30), (0, 60)), ((10, 3600), (0, 60)),  # longer than the question was there
        ((None, 70), (None, 60)), ((None, -9), (None, 0)), ((-9, None), (0, None)), ((99, None), (60, None)),
    ],
)  # fmt: skip
def test_times_lie_between_the_question_and_the_arrival_of_the_answer(sent, stored):
    checked = check_times(answer(*map(at, sent)), ISSUED, RECEIVED)
    assert (checked.shown_at, checked.answered_at) == tuple(map(at, stored))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [((10, 12), (10, 12)), ((12, 10), (None, 60)), ((10, 70), (None, 60)), ((None, 70), (None, 60))],
)
def test_for_a_question_of_an_earlier_release_only_the_arrival_is_known(sent, stored):
    checked = check_times(answer(*map(at, sent)), None, RECEIVED)
    assert (checked.shown_at, checked.answered_at) == tuple(map(at, stored))


@pytest.mark.parametrize("year", [1, 9999])
def test_times_at_the_ends_of_the_calendar_are_accepted(year):
    edge = datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, tzinfo=timezone(timedelta(hours=5)))
    checked = check_times(
        answer(None, None).model_copy(update={"shown_at": edge, "answered_at": edge}), ISSUED, RECEIVED
    )
    assert ISSUED <= checked.shown_at == checked.answered_at <= RECEIVED


@pytest.fixture
def state(tmp_path):
    state = ServerState(tmp_path / "page.db")
    yield state
    state.close()


def test_an_answer_that_is_sent_again_later_is_the_same_answer(state):
    receipts = Receipts(state)
    receipts.record_issued("ana", [("badge", "p")], ISSUED)
    receipts.record_issued("ana", [("badge", "p")], RECEIVED)  # asked again: the first time counts
    sent = answer(at(500), at(400))
    first = receipts.receive(sent, RECEIVED)
    assert (first.shown_at, first.answered_at) == (ISSUED, RECEIVED)
    assert receipts.receive(sent, RECEIVED + timedelta(hours=1)) == first


def test_the_server_keeps_its_own_times_beside_the_browsers_and_forgets_them_with_the_person(state):
    receipts = Receipts(state)
    receipts.record_issued("ana", [("badge", "p")], ISSUED)
    receipts.receive(answer(at(500), at(400)), RECEIVED)
    (row,) = state.query("SELECT * FROM receipt")
    assert row == ("one", "ana", "badge", "p", *(time.isoformat() for time in (RECEIVED, at(500), at(400))))
    state.forget("ana")
    assert state.query("SELECT * FROM receipt") == state.query("SELECT * FROM issued") == []


@pytest.mark.parametrize("other", [{"annotator": "bo"}, {"concept": "klara"}, {"picture": "q"}])
def test_an_id_belongs_to_one_question_of_one_person(state, other):
    receipts = Receipts(state)
    receipts.receive(answer(None, None), RECEIVED)
    with pytest.raises(Conflict):
        receipts.receive(answer(None, None, **other), RECEIVED)
