"""Gold questions: their answers are known, so they measure the annotator and say nothing about the picture.

An answer to a gold question is no judgement: it lies in the page's own table, never in the live store, so that it
becomes nobody's label. In turn a gold picture is never asked as an ordinary question.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

from hfi_core.annotation.service.state import PageState
from hfi_core.candidates.manifest import Candidate
from hfi_core.errors import UserError
from hfi_core.feedback.reader import check_judgement, read_judgements, refuse
from hfi_core.feedback.schema import BinaryJudgement, Judgement, row_of
from hfi_core.params import Params

CONCORDANT = 0.8
"""Share of the known order's pairs that a ranking must place the same way to be right."""


def question_of(pictures: tuple[str, ...]) -> str:
    """Names a question within its concept, whatever order the pictures were shown in."""
    return " ".join(sorted(pictures))


def read_gold(
    path: Path, params: Params, candidates: Mapping[str, Mapping[str, Candidate]]
) -> dict[str, dict[str, Judgement]]:
    """Known answers by concept and question, of those concepts whose candidates are given.

    Raises UserError that names file, line and remedy of the first mistake.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; annotation.gold in params.yaml names it. Without gold questions: null.")
    known: dict[str, dict[str, Judgement]] = {concept: {} for concept in candidates}
    superseded: set[str] = set()
    lines = list(read_judgements(path))
    superseded.update(judgement.supersedes for _, judgement in lines if judgement.supersedes)
    for number, judgement in lines:
        concept = judgement.concept
        if concept not in known or judgement.id in superseded:
            continue
        check_judgement(path, number, judgement, params.concepts[concept].feedback, candidates[concept])
        question = question_of(judgement.pictures)
        if question in known[concept]:
            refuse(path, number, None, "answers a question that another line answers", "keep one answer to each")
        known[concept][question] = judgement
    return known


def is_right(known: Judgement, answer: Judgement) -> bool:
    """The same answer; for a ranking, the same verdict on who applies and most pairs in the known order."""
    if isinstance(known, BinaryJudgement):
        return known.answer == answer.answer
    if set(known.not_applicable) != set(answer.not_applicable):
        return False
    place = {picture: n for n, group in enumerate(answer.groups) for picture in group}
    pairs = [pair for high, low in combinations(known.groups, 2) for pair in product(high, low)]
    agreeing = sum(place[high] < place[low] for high, low in pairs)
    return agreeing >= CONCORDANT * len(pairs)


@dataclass(frozen=True)
class Accuracy:
    """How often an annotator was right, of the gold questions answered."""

    right: int
    asked: int


class GoldBook:
    """The answers to gold questions, superseded and never edited, as judgements are."""

    def __init__(self, state: PageState):
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
