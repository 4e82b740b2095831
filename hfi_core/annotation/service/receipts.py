"""Record when the server asked each question and received each answer, and check the browser's times against that.

The browser says when it showed a question and when the person answered. A program can say anything, and a computer's
clock may be wrong. So the time of an answer has to lie between the moment at which the server first sent the question
and the moment at which the answer arrived. The server records both, and also what the browser said.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hfi_core.annotation.service.gold_answers import make_conflict
from hfi_core.annotation.service.state import ServerState
from hfi_core.feedback.gold import make_question_key
from hfi_core.feedback.schema import Judgement


class Receipts:
    """The server's own times of questions and answers, to ordinary and to gold questions alike."""

    def __init__(self, state: ServerState):
        self._state = state

    def record_issued(self, annotator: str, keys: Iterable[tuple[str, str]], now: datetime) -> None:
        """Record that (concept, question) were sent to an annotator. The first time counts."""
        with self._state.transaction(durable=False) as database:
            database.executemany(
                "INSERT INTO issued VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(annotator, concept, question, now.isoformat()) for concept, question in keys],
            )

    def receive(self, judgement: Judgement, now: datetime) -> Judgement:
        """Record the arrival of an answer, and return it with checked times.

        An answer that is sent again keeps the time of its first arrival, so that it is the same answer. An id belongs
        to one question. Raises Conflict if an answer to another question had it.
        """
        question = make_question_key(judgement.pictures)
        owner = (judgement.annotator, judgement.concept, question)
        claims = [None if time is None else time.isoformat() for time in (judgement.shown_at, judgement.answered_at)]
        with self._state.transaction(durable=False) as database:
            database.execute(
                "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (judgement.id, *owner, now.isoformat(), *claims),
            )
            query = "SELECT annotator, concept, question, received_at FROM receipt WHERE id = ?"
            *recorded_owner, received_at = database.execute(query, (judgement.id,)).fetchone()
            issued = database.execute(
                "SELECT at FROM issued WHERE (annotator, concept, question) = (?, ?, ?)", owner
            ).fetchone()
        if tuple(recorded_owner) != owner:
            raise make_conflict(judgement.id, "an answer to another question has the same id")
        return check_times(
            judgement,
            issued_at=None if issued is None else datetime.fromisoformat(issued[0]),
            received_at=datetime.fromisoformat(received_at),
        )


def check_times(judgement: Judgement, issued_at: datetime | None, received_at: datetime) -> Judgement:
    """Return an answer whose times lie between the server's own.

    Possible times stay as they are. Times outside the interval are moved into it; the duration stays, as it does not
    depend on a wrong clock. If the duration is negative, or longer than the interval, the interval itself is taken.
    `issued_at` is None for a question that an earlier release sent: impossible times are then replaced by the arrival
    alone.
    """
    shown, answered = judgement.shown_at, judgement.answered_at
    times: dict[str, datetime | None]
    if shown is None or answered is None:
        times = {
            name: min(max(time, issued_at or time), received_at)
            for name, time in (("shown_at", shown), ("answered_at", answered))
            if time is not None
        }
    else:
        duration = answered - shown
        is_possible = duration >= timedelta(0) and (issued_at is None or duration <= received_at - issued_at)
        if issued_at is None:
            times = {} if is_possible and answered <= received_at else {"shown_at": None, "answered_at": received_at}
        elif is_possible:
            start = min(max(shown, issued_at), received_at - duration)
            times = {} if start == shown else {"shown_at": start, "answered_at": start + duration}
        else:
            times = {"shown_at": issued_at, "answered_at": received_at}
    return judgement.model_copy(update=times) if times else judgement
