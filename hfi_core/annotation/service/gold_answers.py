"""Answers to gold questions, and how often each annotator was right."""

import json
from collections import defaultdict
from dataclasses import dataclass

from hfi_core.annotation.service.state import ServerState
from hfi_core.errors import UserError
from hfi_core.feedback.gold import question_of
from hfi_core.feedback.schema import Judgement, row_of


@dataclass(frozen=True)
class Accuracy:
    """How often an annotator was right, of the gold questions answered."""

    right: int
    asked: int


class GoldAnswers:
    """The answers to gold questions, superseded and never edited, as judgements are."""

    def __init__(self, state: ServerState):
        self._state = state

    def add(self, judgement: Judgement, right: bool, attempt: int) -> bool:
        """Keep an answer; True if it is new. `attempt` counts qualifications; 0 is a question mixed in.

        Raises Conflict if the id has other content, or supersedes what it must not.
        """
        question, row = question_of(judgement.pictures), json.dumps(row_of(judgement), sort_keys=True)
        with self._state.writing() as database:
            there = database.execute("SELECT row FROM gold WHERE id = ?", (judgement.id,)).fetchone()
            if there:
                if there != (row,):
                    raise _conflict(judgement.id, "another answer has its id")
                return False
            if judgement.supersedes:
                earlier = database.execute(
                    "SELECT attempt FROM counting_gold WHERE (id, annotator, concept, question) = (?, ?, ?, ?)",
                    (judgement.supersedes, judgement.annotator, judgement.concept, question),
                ).fetchone()
                if not earlier:
                    raise _conflict(judgement.id, f"{judgement.supersedes!r} is no answer that it could supersede")
                (attempt,) = earlier
            values = (
                judgement.id, judgement.annotator, judgement.concept, question, attempt, right, row,
                judgement.supersedes,
            )  # fmt: skip
            database.execute("INSERT INTO gold VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return True

    def skip(self, annotator: str, concept: str, question: str, attempt: int) -> None:
        """Keep that a question was skipped: it is not asked again, and counts as neither right nor wrong."""
        name = f"skip:{annotator}:{concept}:{question}:{attempt}"
        with self._state.writing() as database:
            database.execute(
                "INSERT INTO gold VALUES (?, ?, ?, ?, ?, NULL, '{}', NULL) ON CONFLICT DO NOTHING",
                (name, annotator, concept, question, attempt),
            )

    def answered(self, annotator: str) -> set[tuple[str, str]]:
        """(concept, question) that the annotator has answered or skipped, in a qualification or later."""
        query = "SELECT DISTINCT concept, question FROM gold WHERE annotator = ?"
        return set(self._state.rows(query, annotator))

    def candidates(self) -> list[str]:
        """Annotators who have answered or skipped a question of a qualification."""
        rows = self._state.rows("SELECT DISTINCT annotator FROM gold WHERE attempt > 0 ORDER BY annotator")
        return [annotator for (annotator,) in rows]

    def attempts(self, annotator: str) -> dict[int, dict[tuple[str, str], bool]]:
        """What was right, by attempt at the qualification and (concept, question); a skipped one is not."""
        found: dict[int, dict[tuple[str, str], bool]] = defaultdict(dict)
        query = "SELECT attempt, concept, question, correct FROM counting_gold WHERE annotator = ? AND attempt > 0"
        for attempt, concept, question, correct in self._state.rows(query, annotator):
            found[attempt][concept, question] = found[attempt].get((concept, question), False) or bool(correct)
        return found

    def accuracy(self, concept: str) -> dict[str, Accuracy]:
        """By annotator, of the questions that were mixed in after the qualification."""
        query = """SELECT annotator, sum(correct), count(correct) FROM counting_gold
            WHERE concept = ? AND attempt = 0 AND correct IS NOT NULL GROUP BY annotator ORDER BY annotator"""
        return {annotator: Accuracy(right, asked) for annotator, right, asked in self._state.rows(query, concept)}


def _conflict(id: str, what: str) -> UserError:
    from hfi_core.feedback.store import Conflict

    return Conflict(f"This answer was not saved: {what}.", id)
