"""Qualify annotators: they answer gold questions before their judgements count."""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hfi_core.annotation.service.questions import PictureRef, Question, gold_keys, list_gold_questions
from hfi_core.annotation.service.tasks import Task
from hfi_core.annotation.service.workspace import Workspace

ATTEMPTS = 3
"""After the last attempt a lead decides. More attempts would teach annotators the gold questions by heart."""


@dataclass(frozen=True)
class FailedQualification:
    """An annotator who has failed every attempt at a task's qualification."""

    annotator: str
    task: Task
    last_result: tuple[int, int]
    """(right, asked) of the last attempt."""


@dataclass(frozen=True)
class QualificationStatus:
    """Whether an annotator has passed a qualification, with the open attempt if there is one."""

    state: Literal["open", "passed", "closed"]
    attempt: int = 0
    """The open attempt, from 1."""
    question_count: int = 0
    """Questions in an attempt."""
    answered: int = 0
    """Questions of the open attempt that are answered."""
    last_result: tuple[int, int] | None = None
    """(right, asked) of the previous attempt."""
    questions: tuple[Question, ...] = ()
    """Questions of the open attempt that are not answered."""


def check_qualification(workspace: Workspace, task: Task, annotator: str, now: datetime) -> QualificationStatus:
    """Return an annotator's status in a task. Who has passed stays qualified, even if the gold questions change."""
    required = workspace.settings.params.annotation.qualification
    gold = sorted(list_gold_questions(workspace, task, annotator), key=lambda question: question.refs)
    if not required or not gold or _is_qualified(workspace, task, annotator):
        return QualificationStatus("passed")
    attempts = workspace.gold_answers.read_attempts(annotator)
    last_result = None
    for attempt in range(1, _allowed_attempts(workspace, task, annotator) + 1):
        drawn = random.Random(f"{annotator} {task.name} {attempt}").sample(gold, min(required, len(gold)))
        results = attempts.get(attempt, {})
        unanswered = tuple(question for question in drawn if any(key not in results for key in gold_keys(question)))
        if unanswered:
            return QualificationStatus(
                "open", attempt, len(drawn), len(drawn) - len(unanswered), last_result, unanswered
            )
        keys = [key for question in drawn for key in gold_keys(question)]
        right = sum(results[key] for key in keys)
        last_result = right, len(keys)
        if right >= workspace.settings.params.annotation.pass_mark * len(keys):
            _qualify(workspace, task, annotator, now)
            return QualificationStatus("passed", last_result=last_result)
    return QualificationStatus("closed", last_result=last_result)


def find_open_attempt(workspace: Workspace, concept: str, annotator: str, now: datetime) -> int:
    """Return the number of the open attempt that a gold answer belongs to; 0 if none is open."""
    task = next(task for task in workspace.tasks if concept in task.concepts)
    status = check_qualification(workspace, task, annotator, now)
    return status.attempt if status.state == "open" else 0


def list_failed_qualifications(workspace: Workspace, now: datetime) -> list[FailedQualification]:
    """Return the annotators who need a lead's permission to continue, in the order of their pseudonyms."""
    failed = []
    for annotator in workspace.gold_answers.list_qualification_annotators():
        for task in workspace.tasks:
            status = check_qualification(workspace, task, annotator, now)
            if status.state == "closed":
                failed.append(FailedQualification(annotator, task, status.last_result))
    return failed


def grant_attempt(workspace: Workspace, task: Task, annotator: str, now: datetime) -> None:
    """Grant one more attempt to an annotator who has none left.

    Does nothing for other annotators, so that the second click of a double click grants nothing.
    """
    if check_qualification(workspace, task, annotator, now).state == "closed":
        attempts = _allowed_attempts(workspace, task, annotator) + 1
        with workspace.state.transaction() as database:
            database.execute(
                """INSERT INTO allowed VALUES (?, ?, ?)
                ON CONFLICT (annotator, task) DO UPDATE SET attempts = max(attempts, excluded.attempts)""",
                (annotator, task.name, attempts),
            )


def describe_exhausted_gold(workspace: Workspace) -> list[str]:
    """Return a warning for each task whose qualification uses up every gold question.

    A question of a qualification is not asked again, so the review could not show the annotators' accuracy.
    """
    annotation = workspace.settings.params.annotation
    if not annotation.qualification or not annotation.gold_share:
        return []
    counts = {task.name: len(list_gold_questions(workspace, task, "")) for task in workspace.tasks}
    return [
        f"{annotation.gold} has {count} gold question(s) for {name}, and annotation.qualification asks "
        f"{annotation.qualification} first: none is left for later, and the review cannot show an accuracy. "
        "To fix this: add gold questions, or lower annotation.qualification."
        for name, count in counts.items()
        if 0 < count <= annotation.qualification
    ]


def exclude_browser_questions(
    questions: tuple[Question, ...], browser_refs: set[PictureRef], count: int
) -> list[Question]:
    """Return the first `count` questions that the browser does not have."""
    return [question for question in questions if not browser_refs.intersection(question.refs)][:count]


def _allowed_attempts(workspace: Workspace, task: Task, annotator: str) -> int:
    """Return how many attempts the annotator has, including those that a lead granted."""
    rows = workspace.state.query("SELECT attempts FROM allowed WHERE (annotator, task) = (?, ?)", annotator, task.name)
    return rows[0][0] if rows else ATTEMPTS


def _is_qualified(workspace: Workspace, task: Task, annotator: str) -> bool:
    return bool(workspace.state.query("SELECT 1 FROM qualified WHERE (annotator, task) = (?, ?)", annotator, task.name))


def _qualify(workspace: Workspace, task: Task, annotator: str, now: datetime) -> None:
    with workspace.state.transaction() as database:
        database.execute(
            "INSERT INTO qualified VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (annotator, task.name, now.isoformat())
        )
