"""Gold questions that an annotator answers before the first judgement counts."""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hfi_core.annotation.service.questions import Question, Ref, gold_keys, gold_questions
from hfi_core.annotation.service.tasks import Task
from hfi_core.annotation.service.workspace import Workspace

ATTEMPTS = 3
"""After so many the lead has to talk with the annotator: more tries would only teach the gold by heart."""


@dataclass(frozen=True)
class Closed:
    """An annotator who has used up every attempt at a task's qualification; (right, asked) of the last one."""

    annotator: str
    task: Task
    last: tuple[int, int]


@dataclass(frozen=True)
class Standing:
    """Where an annotator stands; `questions` are those of the open attempt that are not answered."""

    state: Literal["open", "passed", "closed"]
    attempt: int = 0
    """The open attempt, from 1."""
    of: int = 0
    """Questions an attempt."""
    answered: int = 0
    last: tuple[int, int] | None = None
    """(right, asked) of the attempt before."""
    questions: tuple[Question, ...] = ()


def standing(page: Workspace, task: Task, annotator: str, now: datetime) -> Standing:
    """Where the annotator stands in a task; a qualification once passed stays passed, whatever becomes of the gold."""
    wanted = page.settings.params.annotation.qualification
    gold = sorted(gold_questions(page, task, annotator), key=lambda question: question.refs)
    if not wanted or not gold or _is_qualified(page, task, annotator):
        return Standing("passed")
    attempts = page.book.attempts(annotator)
    last = None
    for attempt in range(1, _allowed(page, task, annotator) + 1):
        drawn = random.Random(f"{annotator} {task.name} {attempt}").sample(gold, min(wanted, len(gold)))
        answers = attempts.get(attempt, {})
        left = tuple(question for question in drawn if any(key not in answers for key in gold_keys(question)))
        if left:
            return Standing("open", attempt, len(drawn), len(drawn) - len(left), last, left)
        keys = [key for question in drawn for key in gold_keys(question)]
        right = sum(answers[key] for key in keys)
        last = right, len(keys)
        if right >= page.settings.params.annotation.pass_mark * len(keys):
            _qualify(page, task, annotator, now)
            return Standing("passed", last=last)
    return Standing("closed", last=last)


def open_attempt(page: Workspace, concept: str, annotator: str, now: datetime) -> int:
    """Which attempt an answer to a gold question of a concept belongs to; 0 once the annotator is qualified."""
    task = next(task for task in page.tasks if concept in task.concepts)
    found = standing(page, task, annotator, now)
    return found.attempt if found.state == "open" else 0


def closed(page: Workspace, now: datetime) -> list[Closed]:
    """Whom only a lead can let go on, by pseudonym."""
    found = []
    for annotator in page.book.candidates():
        for task in page.tasks:
            there = standing(page, task, annotator, now)
            if there.state == "closed":
                found.append(Closed(annotator, task, there.last))
    return found


def allow_another(page: Workspace, task: Task, annotator: str, now: datetime) -> None:
    """Open one more attempt to an annotator who has none left; whoever has one, or has passed, gets nothing.

    So the second click of a double click gives nothing more.
    """
    if standing(page, task, annotator, now).state == "closed":
        attempts = _allowed(page, task, annotator) + 1
        with page.state.writing() as database:
            database.execute(
                """INSERT INTO allowed VALUES (?, ?, ?)
                ON CONFLICT (annotator, task) DO UPDATE SET attempts = max(attempts, excluded.attempts)""",
                (annotator, task.name, attempts),
            )


def gold_left_over(page: Workspace) -> list[str]:
    """What to tell whoever starts the page: tasks whose qualification uses every gold question up.

    A question that was asked in a qualification is not mixed in later, so their accuracy would stay unknown.
    """
    annotation = page.settings.params.annotation
    if not annotation.qualification or not annotation.gold_share:
        return []
    counts = {task.name: len(gold_questions(page, task, "")) for task in page.tasks}
    return [
        f"{annotation.gold} has {count} gold question(s) for {name}, and annotation.qualification asks "
        f"{annotation.qualification} first: none is left to mix in later, and the review will show no accuracy. "
        "To mend it: add gold questions, or lower annotation.qualification."
        for name, count in counts.items()
        if 0 < count <= annotation.qualification
    ]


def without(questions: tuple[Question, ...], have: set[Ref], count: int) -> list[Question]:
    """The first `count` that the browser does not have."""
    return [question for question in questions if not have.intersection(question.refs)][:count]


def _allowed(page: Workspace, task: Task, annotator: str) -> int:
    """Attempts that the annotator has, those that a lead added included."""
    rows = page.state.rows("SELECT attempts FROM allowed WHERE (annotator, task) = (?, ?)", annotator, task.name)
    return rows[0][0] if rows else ATTEMPTS


def _is_qualified(page: Workspace, task: Task, annotator: str) -> bool:
    return bool(page.state.rows("SELECT 1 FROM qualified WHERE (annotator, task) = (?, ?)", annotator, task.name))


def _qualify(page: Workspace, task: Task, annotator: str, now: datetime) -> None:
    with page.state.writing() as database:
        database.execute(
            "INSERT INTO qualified VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (annotator, task.name, now.isoformat())
        )
