"""Store answers to gold questions, and count how often each annotator was right."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from hfi_core.annotation.service.state import ServerState
from hfi_core.errors import UserError
from hfi_core.feedback.gold import make_question_key
from hfi_core.feedback.schema import Judgement, dump_judgement


@dataclass(frozen=True)
class Accuracy:
    """How many gold questions an annotator answered, and how many of them correctly."""

    right: int
    answered: int


class AttemptClosed(UserError):
    """An answer to a question of a qualification attempt that has ended."""


class GoldAnswers:
    """The answers to gold questions. As with judgements, a new answer supersedes an earlier one; none is edited."""

    def __init__(self, state: ServerState):
        self._state = state

    def add(self, judgement: Judgement, right: bool, find_attempt: Callable[[], int]) -> bool:
        """Store an answer, and return whether it is new.

        `find_attempt` returns the number of the open qualification attempt that asks the question; 0 if none does. It
        is called inside the transaction, so that an attempt cannot end between the check and the insertion.

        Raises Conflict if another answer has the id, if the question was answered and `supersedes` is missing, or if
        `supersedes` names an answer that it may not supersede: as the feedback store does, so that nobody can tell
        gold questions from others. Raises AttemptClosed if the attempt of the earlier answer has ended.
        """
        question, row = make_question_key(judgement.pictures), json.dumps(dump_judgement(judgement), sort_keys=True)
        with self._state.transaction() as database:
            existing = database.execute("SELECT row FROM gold WHERE id = ?", (judgement.id,)).fetchone()
            if existing:
                if existing != (row,):
                    raise make_conflict(judgement.id, "another answer has the same id")
                return False
            open_attempt = find_attempt()
            earlier_answers = database.execute(
                "SELECT id, attempt, correct FROM counting_gold WHERE (annotator, concept, question) = (?, ?, ?)",
                (judgement.annotator, judgement.concept, question),
            ).fetchall()
            attempt = _choose_attempt(judgement, open_attempt, earlier_answers)
            values = (
                judgement.id, judgement.annotator, judgement.concept, question, attempt, right, row,
                judgement.supersedes,
            )  # fmt: skip
            database.execute("INSERT INTO gold VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return True

    def has(self, id: str) -> bool:
        """Return whether an answer to a gold question has this id."""
        return bool(self._state.query("SELECT 1 FROM gold WHERE id = ?", id))

    def record_skip(self, annotator: str, concept: str, question: str, attempt: int) -> None:
        """Record that a question was skipped. It is not asked again, and counts as neither right nor wrong."""
        name = f"skip {annotator}:{concept}:{question}:{attempt}"  # no answer's id has a space
        with self._state.transaction() as database:
            database.execute(
                "INSERT INTO gold VALUES (?, ?, ?, ?, ?, NULL, '{}', NULL) ON CONFLICT DO NOTHING",
                (name, annotator, concept, question, attempt),
            )

    def list_answered(self, annotator: str) -> set[tuple[str, str]]:
        """Return each (concept, question) that the annotator has answered or skipped, in a qualification or later."""
        query = "SELECT DISTINCT concept, question FROM gold WHERE annotator = ?"
        return set(self._state.query(query, annotator))

    def list_qualification_annotators(self) -> list[str]:
        """Return the annotators who have answered or skipped a question of a qualification."""
        rows = self._state.query("SELECT DISTINCT annotator FROM gold WHERE attempt > 0 ORDER BY annotator")
        return [annotator for (annotator,) in rows]

    def read_attempts(self, annotator: str) -> dict[int, dict[tuple[str, str], bool]]:
        """Return which answers were right, by attempt and (concept, question). A skipped question counts as wrong."""
        attempts: dict[int, dict[tuple[str, str], bool]] = defaultdict(dict)
        query = "SELECT attempt, concept, question, correct FROM counting_gold WHERE annotator = ? AND attempt > 0"
        for attempt, concept, question, correct in self._state.query(query, annotator):
            attempts[attempt][concept, question] = attempts[attempt].get((concept, question), False) or bool(correct)
        return attempts

    def list_answered_among_others(self, concept: str) -> list[tuple[str, str]]:
        """Return (annotator, question) of each answer to a gold question among ordinary ones. Skips do not count."""
        query = """SELECT annotator, question FROM counting_gold
            WHERE concept = ? AND attempt = 0 AND correct IS NOT NULL"""
        return self._state.query(query, concept)

    def measure_accuracy(self, concept: str) -> dict[str, Accuracy]:
        """Return each annotator's accuracy on the gold questions after the qualification."""
        query = """SELECT annotator, sum(correct), count(correct) FROM counting_gold
            WHERE concept = ? AND attempt = 0 AND correct IS NOT NULL GROUP BY annotator ORDER BY annotator"""
        return {
            annotator: Accuracy(right, answered) for annotator, right, answered in self._state.query(query, concept)
        }


def _choose_attempt(judgement: Judgement, open_attempt: int, earlier_answers: list[tuple[str, int, int | None]]) -> int:
    """Return the attempt that an answer belongs to; 0 for a question among ordinary ones.

    `earlier_answers` are (id, attempt, correct) of the annotator's answers to the question; `correct` is None for a
    skipped one.
    """
    attempts = {id: attempt for id, attempt, correct in earlier_answers if correct is not None}
    if judgement.supersedes is not None:
        if judgement.supersedes not in attempts:
            raise make_conflict(judgement.id, f"{judgement.supersedes!r} is not an answer that it may supersede")
        attempt = attempts[judgement.supersedes]
        is_closed = attempt not in (0, open_attempt)
    else:
        attempt = open_attempt
        is_closed = not open_attempt and any(earlier for _, earlier, _ in earlier_answers)
    if is_closed:
        raise AttemptClosed(f"The answer {judgement.id!r} was not saved: its qualification attempt has ended.")
    if judgement.supersedes is None and attempt in attempts.values():
        raise make_conflict(judgement.id, "the question is answered, and `supersedes` does not name that answer")
    return attempt


def make_conflict(id: str, reason: str) -> UserError:
    """Make the error for an answer that contradicts another one."""
    from hfi_core.feedback.store import Conflict

    return Conflict(f"This answer was not saved: {reason}.", id)
