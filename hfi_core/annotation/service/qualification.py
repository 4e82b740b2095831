"""Qualify annotators: they answer gold questions before their judgements count."""

import json
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Literal

from hfi_core.annotation.service.questions import PictureRef, Question, list_gold_questions, list_question_keys
from hfi_core.annotation.service.tasks import Task
from hfi_core.annotation.service.workspace import Workspace

ATTEMPTS = 3
"""After the last attempt a lead decides. More attempts would teach annotators the gold questions by heart."""

_GoldKey = tuple[str, str]
"""(concept, question) of a part of a gold question."""


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
    finished: int = 0
    """Attempts that have ended. Their answers are final."""
    last_result: tuple[int, int] | None = None
    """(right, asked) of the previous attempt."""
    questions: tuple[Question, ...] = ()
    """Questions of the open attempt that are not answered."""
    drawn: frozenset[_GoldKey] = frozenset()
    """Every question of the open attempt."""
    repeats: bool = False
    """Whether the open attempt asks questions of an earlier one again."""


@dataclass(frozen=True)
class _Attempt:
    """An attempt as it was drawn: its questions, and (right, asked) once it has ended."""

    keys: frozenset[_GoldKey]
    result: tuple[int, int] | None


def check_qualification(workspace: Workspace, task: Task, annotator: str, now: datetime) -> QualificationStatus:
    """Return an annotator's status in a task. Who has passed stays qualified, even if the gold questions change."""
    required = workspace.settings.params.annotation.qualification
    gold = sorted(list_gold_questions(workspace, task, annotator), key=lambda question: question.refs)
    if not required or not gold or _is_qualified(workspace, task, annotator):
        return QualificationStatus("passed")
    attempts, answers = _read_attempts(workspace, task, annotator), _read_answers(workspace, task, annotator)
    granted = _granted_attempts(workspace, task, annotator)
    size = min(required, len(gold))
    last_result, asked_before = None, frozenset[_GoldKey]()
    for number in count(1):
        attempt, answered = attempts.get(number), answers.get(number, {})
        if attempt is None or attempt.result is None:
            drawn = [question for question in gold if attempt and attempt.keys.issuperset(list_question_keys(question))]
            if not drawn and number <= max(ATTEMPTS, granted):
                # Earlier releases did not record what they drew, and drew from all gold questions.
                excluded = frozenset() if attempt is None and answered else asked_before
                drawn = _draw_questions(
                    gold, excluded, size, f"{annotator} {task.name} {number}", may_repeat=number <= granted
                )
                _record_draw(workspace, task, annotator, number, drawn)
            if not drawn:
                return QualificationStatus("closed", finished=number - 1, last_result=last_result)
            keys = frozenset(key for question in drawn for key in list_question_keys(question))
            unanswered = tuple(
                question for question in drawn if not answered.keys() >= set(list_question_keys(question))
            )
            if unanswered:
                return QualificationStatus(
                    "open", number, len(drawn), len(drawn) - len(unanswered), number - 1, last_result, unanswered, keys,
                    repeats=not keys.isdisjoint(asked_before),
                )  # fmt: skip
            result = sum(answered[key] for key in keys), len(keys)
            _record_result(workspace, task, annotator, number, result)
        else:
            keys, result = attempt.keys, attempt.result
        last_result, asked_before = result, asked_before | keys
        right, asked = result
        if right >= workspace.settings.params.annotation.pass_mark * asked:
            _qualify(workspace, task, annotator, now)
            return QualificationStatus("passed", finished=number, last_result=last_result)
    raise AssertionError("unreachable")


def find_open_attempt(workspace: Workspace, concept: str, question: str, annotator: str, now: datetime) -> int:
    """Return the number of the open attempt that asks a gold question; 0 if none does."""
    task = next(task for task in workspace.tasks if concept in task.concepts)
    status = check_qualification(workspace, task, annotator, now)
    return status.attempt if (concept, question) in status.drawn else 0


def list_failed_qualifications(workspace: Workspace, now: datetime) -> list[FailedQualification]:
    """Return the annotators who need a lead's permission to continue, in the order of their pseudonyms."""
    failed = []
    for annotator in workspace.gold_answers.list_qualification_annotators():
        for task in workspace.tasks:
            status = check_qualification(workspace, task, annotator, now)
            if status.state == "closed" and status.last_result is not None:
                failed.append(FailedQualification(annotator, task, status.last_result))
    return failed


def grant_attempt(workspace: Workspace, task: Task, annotator: str, now: datetime) -> None:
    """Grant one more attempt to an annotator who has none left.

    Does nothing for other annotators, so that the second click of a double click grants nothing.
    """
    status = check_qualification(workspace, task, annotator, now)
    if status.state == "closed":
        with workspace.state.transaction() as database:
            database.execute(
                """INSERT INTO allowed VALUES (?, ?, ?)
                ON CONFLICT (annotator, task) DO UPDATE SET attempts = max(attempts, excluded.attempts)""",
                (annotator, task.name, status.finished + 1),
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


def describe_recognizable_gold(workspace: Workspace) -> list[str]:
    """Return a warning for each task whose gold questions can be told from others by what they show."""
    annotation, warnings = workspace.settings.params.annotation, []
    if not annotation.gold or not annotation.gold_share:
        return []
    for task in workspace.tasks:
        gold = list_gold_questions(workspace, task, "")
        if task.kind == "ranking":
            unlike = [question for question in gold if len(question.refs) != annotation.ranked]
            reason = f"have another number of pictures than annotation.ranked ({annotation.ranked})"
            remedy = f"use gold rankings of {annotation.ranked} pictures"
        else:
            unlike = [question for question in gold if len(question.parts) < _count_concepts(workspace, task, question)]
            reason = "have a known answer for some of the concepts that the picture is judged for, not for all"
            remedy = "add the missing answers"
        if unlike:
            names = ", ".join(sorted(ref for question in unlike for ref in question.refs)[:5])
            warnings.append(
                f"{annotation.gold} for {', '.join(task.concepts)}: {len(unlike)} of its {len(gold)} gold questions "
                f"{reason}. Annotators can recognize them: {names}.\n  To fix this: {remedy}."
            )
    return warnings


def _count_concepts(workspace: Workspace, task: Task, question: Question) -> int:
    """Return for how many concepts of the task the picture of a question is a candidate."""
    return sum(
        any(candidate.sha256 in question.digests for candidate in workspace.candidates[concept].values())
        for concept in task.concepts
    )


def exclude_browser_questions(
    questions: tuple[Question, ...], browser_refs: set[PictureRef], count: int
) -> list[Question]:
    """Return the first `count` questions that the browser does not have."""
    return [question for question in questions if not browser_refs.intersection(question.refs)][:count]


def _draw_questions(
    gold: Sequence[Question], asked_before: Collection[_GoldKey], size: int, seed: str, may_repeat: bool
) -> list[Question]:
    """Draw the questions of an attempt from those that no earlier attempt asked.

    Who failed knows how many answers were wrong, and would pass with the same questions by answering otherwise. So if
    fewer than `size` are left, nothing is drawn. With `may_repeat` (a lead allowed it) earlier questions fill the rest.
    """
    rng = random.Random(seed)
    fresh = [question for question in gold if not any(key in asked_before for key in list_question_keys(question))]
    if len(fresh) >= size:
        return rng.sample(fresh, size)
    if not may_repeat:
        return []
    return fresh + rng.sample([question for question in gold if question not in fresh], size - len(fresh))


def _read_answers(workspace: Workspace, task: Task, annotator: str) -> dict[int, dict[_GoldKey, bool]]:
    """Return which answers were right, by attempt and question of the task."""
    return {
        number: {key: right for key, right in answers.items() if key[0] in task.concepts}
        for number, answers in workspace.gold_answers.read_attempts(annotator).items()
    }


def _read_attempts(workspace: Workspace, task: Task, annotator: str) -> dict[int, _Attempt]:
    query = "SELECT number, questions, correct, asked FROM attempt WHERE (annotator, task) = (?, ?)"
    return {
        number: _Attempt(frozenset(map(tuple, json.loads(keys))), None if asked is None else (right, asked))
        for number, keys, right, asked in workspace.state.query(query, annotator, task.name)
    }


def _record_draw(workspace: Workspace, task: Task, annotator: str, number: int, drawn: Sequence[Question]) -> None:
    if not drawn:
        return
    keys = json.dumps(sorted(key for question in drawn for key in list_question_keys(question)))
    with workspace.state.transaction() as database:
        database.execute(
            """INSERT INTO attempt VALUES (?, ?, ?, ?, NULL, NULL)
            ON CONFLICT DO UPDATE SET questions = excluded.questions WHERE asked IS NULL""",
            (annotator, task.name, number, keys),
        )


def _record_result(workspace: Workspace, task: Task, annotator: str, number: int, result: tuple[int, int]) -> None:
    with workspace.state.transaction() as database:
        database.execute(
            """UPDATE attempt SET correct = ?, asked = ?
            WHERE (annotator, task, number) = (?, ?, ?) AND asked IS NULL""",
            (*result, annotator, task.name, number),
        )


def _granted_attempts(workspace: Workspace, task: Task, annotator: str) -> int:
    """Return the number of the last attempt that a lead granted; 0 if none was."""
    rows = workspace.state.query("SELECT attempts FROM allowed WHERE (annotator, task) = (?, ?)", annotator, task.name)
    return rows[0][0] if rows else 0


def _is_qualified(workspace: Workspace, task: Task, annotator: str) -> bool:
    return bool(workspace.state.query("SELECT 1 FROM qualified WHERE (annotator, task) = (?, ?)", annotator, task.name))


def _qualify(workspace: Workspace, task: Task, annotator: str, now: datetime) -> None:
    with workspace.state.transaction() as database:
        database.execute(
            "INSERT INTO qualified VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (annotator, task.name, now.isoformat())
        )
