"""Store answers to gold questions, and count how often each annotator was right."""

import json
from collections import defaultdict
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


class GoldAnswers:
    """The answers to gold questions. As with judgements, a new answer supersedes an earlier one; none is edited."""

    def __init__(self, state: ServerState):
        self._state = state

    def add(self, judgement: Judgement, right: bool, attempt: int) -> bool:
        """Store an answer, and return whether it is new.

        `attempt` is the number of the qualification attempt; 0 means a question among ordinary ones.

        Raises Conflict if another answer has the id, or if it supersedes an answer that it may not supersede.
        """
        question, row = make_question_key(judgement.pictures), json.dumps(dump_judgement(judgement), sort_keys=True)
        with self._state.transaction() as database:
            existing = database.execute("SELECT row FROM gold WHERE id = ?", (judgement.id,)).fetchone()
            if existing:
                if existing != (row,):
                    raise _conflict(judgement.id, "another answer has the same id")
                return False
            if judgement.supersedes:
                earlier = database.execute(
                    "SELECT attempt FROM counting_gold WHERE (id, annotator, concept, question) = (?, ?, ?, ?)",
                    (judgement.supersedes, judgement.annotator, judgement.concept, question),
                ).fetchone()
                if not earlier:
                    raise _conflict(judgement.id, f"{judgement.supersedes!r} is not an answer that it may supersede")
                (attempt,) = earlier
            values = (
                judgement.id, judgement.annotator, judgement.concept, question, attempt, right, row,
                judgement.supersedes,
            )  # fmt: skip
            database.execute("INSERT INTO gold VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return True

    def record_skip(self, annotator: str, concept: str, question: str, attempt: int) -> None:
        """Record that a question was skipped. It is not asked again, and counts as neither right nor wrong."""
        name = f"skip:{annotator}:{concept}:{question}:{attempt}"
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

    def measure_accuracy(self, concept: str) -> dict[str, Accuracy]:
        """Return each annotator's accuracy on the gold questions after the qualification."""
        query = """SELECT annotator, sum(correct), count(correct) FROM counting_gold
            WHERE concept = ? AND attempt = 0 AND correct IS NOT NULL GROUP BY annotator ORDER BY annotator"""
        return {
            annotator: Accuracy(right, answered) for annotator, right, answered in self._state.query(query, concept)
        }


def _conflict(id: str, reason: str) -> UserError:
    from hfi_core.feedback.store import Conflict

    return Conflict(f"This answer was not saved: {reason}.", id)
