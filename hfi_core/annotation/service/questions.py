"""What an annotator is asked next: pictures leased from the store, with gold questions among them.

Each question is signed for the annotator, so that only what was asked can be answered. A gold question looks like any
other.
"""

import hashlib
import hmac
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hfi_core.annotation.service.tasks import Task
from hfi_core.annotation.service.workspace import Workspace
from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.gold import question_of

if TYPE_CHECKING:
    from hfi_core.feedback.store import Assignment

_MOST_STRANGE = 5000
"""Pictures that are passed over at once; more are offered only by somebody who drew all anew, just now."""

Ref = str
"""`CONCEPT/PICTURE`."""


@dataclass(frozen=True)
class QuestionPart:
    """One concept's side of a question: a picture, or (ranking) several."""

    concept: str
    pictures: tuple[Candidate, ...]
    proof: str

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Names of its pictures among all concepts."""
        return tuple(f"{self.concept}/{candidate.id}" for candidate in self.pictures)


@dataclass(frozen=True)
class Question:
    """What is shown at once. Binary: one picture and a part a concept; ranking: one part."""

    parts: tuple[QuestionPart, ...]

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Names of its pictures, in every concept that is asked about."""
        return tuple(ref for part in self.parts for ref in part.refs)

    @property
    def digests(self) -> frozenset[str]:
        """The pictures that are seen."""
        return frozenset(candidate.sha256 for part in self.parts for candidate in part.pictures)


def proof_of(key: bytes, annotator: str, concept: str, pictures: Iterable[str]) -> str:
    """Shows that this annotator was asked about these pictures."""
    message = "\0".join([annotator, concept, *sorted(pictures)])
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def is_proven(key: bytes, annotator: str, concept: str, pictures: Iterable[str], proof: str) -> bool:
    """Whether the proof is ours."""
    return hmac.compare_digest(proof_of(key, annotator, concept, pictures).encode(), proof.encode())


def gold_questions(page: Workspace, task: Task, annotator: str) -> list[Question]:
    """Every gold question of a task, in an order of the annotator's own."""
    found = _together(
        page, annotator, ((concept, question.split()) for concept in task.concepts for question in page.gold[concept])
    )
    return sorted(found, key=lambda question: _draw(annotator, *question.refs))


def next_questions(
    page: Workspace, task: Task, annotator: str, have: Sequence[Sequence[Ref]], count: int, now: datetime
) -> list[Question]:
    """Up to `count` questions beside those that the browser has already."""
    held = {ref for refs in have for ref in refs}
    ordinary = _ordinary(page, task, annotator, held, count, now)
    answered = page.book.answered(annotator)
    gold = [
        question
        for question in gold_questions(page, task, annotator)
        if not held.intersection(question.refs) and not answered.intersection(gold_keys(question))
    ]
    asked_before = page.exposure.ever(annotator) // pictures_at_once(page, task) + len(have)
    share = page.settings.params.annotation.gold_share
    questions: list[Question] = []
    while ordinary and len(questions) < count:
        slot = asked_before + len(questions)
        is_gold = gold and random.Random(_draw(annotator, task.name, str(slot))).random() < share
        questions.append(gold.pop(0) if is_gold else ordinary.pop(0))
    return questions


def gold_keys(question: Question) -> list[tuple[str, str]]:
    """(concept, question) by which the book of gold answers knows its parts."""
    return [(part.concept, question_of(tuple(candidate.id for candidate in part.pictures))) for part in question.parts]


def _ordinary(page: Workspace, task: Task, annotator: str, held: set[Ref], count: int, now: datetime) -> list[Question]:
    size = pictures_at_once(page, task)
    found: list[tuple[str, str]] = []
    for concept in task.concepts:
        # Two more than a ranking needs show whether one picture would be left over, alone.
        wanted = count * size + (2 if task.kind == "ranking" else 0)
        pictures, last = _leased(page, concept, annotator, held, wanted, now)
        if task.kind == "ranking":
            return _rankings(page, annotator, concept, pictures, last)
        found += [(concept, picture) for picture in pictures]
    return _together(page, annotator, ((concept, [picture]) for concept, picture in found))


def _leased(
    page: Workspace, concept: str, annotator: str, held: set[Ref], count: int, now: datetime
) -> tuple[list[str], bool]:
    """At least `count` pictures leased beside those that the browser holds, unless there are no more; and whether so.

    What another manifest than this page's offered is passed over, and given back for a page that can show it.
    """
    store, annotation = page.settings.store, page.settings.params.annotation
    before = store.leased(concept, annotator, now)
    # What a browser says that it holds moves it on only where it is so: nobody reserves a whole concept.
    mine = {picture for picture in before if f"{concept}/{picture}" in held}
    strange: set[str] = set()
    while True:
        wanted = len(mine) + count + 2 * len(strange)  # twice, so that a thousand of them take ten rounds
        leased = store.assign(
            concept, annotator, count=wanted, judgements=annotation.judgements,
            lease=timedelta(minutes=annotation.lease_minutes), now=now,
        )  # fmt: skip
        strange |= {one.picture for one in leased if not _can_show(page, one)}
        found = [one.picture for one in leased if one.picture not in mine | strange]
        if len(found) >= count or len(leased) < wanted or len(strange) > _MOST_STRANGE:
            break
    surplus = set(found[count:]) - before
    if strange or surplus:
        store.give_back(concept, annotator, strange | surplus)
    return [picture for picture in found if picture not in surplus], len(leased) < wanted and not surplus


def _can_show(page: Workspace, one: "Assignment") -> bool:
    candidate = page.candidates[one.concept].get(one.picture)
    return candidate is not None and candidate.sha256 == one.sha256 and one.picture in page.askable[one.concept]


def _rankings(page: Workspace, annotator: str, concept: str, pictures: list[str], last: bool) -> list[Question]:
    """Full sets of pictures; what is left over is asked only at the end, and no picture alone if that can be helped.

    Half of the annotators get the sets that the store's order gives, so that rankings of the same pictures can be
    compared; the others get mixed ones, so that the sets hang together (scores reach across rankings only so).
    """
    if int(_draw(annotator, "mixed"), 16) % 2:
        pictures = sorted(pictures, key=lambda picture: _draw(annotator, picture))
    size = page.settings.params.annotation.ranked
    sets = [pictures[start : start + size] for start in range(0, len(pictures), size)]
    if sets and len(sets[-1]) < size:
        rest = sets.pop()
        if last and len(rest) == 1 and sets:
            sets[-1] += rest
        elif last:
            sets.append(rest)
    return _together(page, annotator, ((concept, pictures) for pictures in sets))


def _together(page: Workspace, annotator: str, asked: Iterable[tuple[str, Sequence[str]]]) -> list[Question]:
    """Parts become questions: what several concepts ask about the same picture is asked at once."""
    questions: list[list[QuestionPart]] = []
    place: dict[tuple[str, ...], int] = {}
    for concept, ids in asked:
        # Where a picture stands among the others must say nothing about it.
        ids = sorted(ids, key=lambda picture: _draw(annotator, concept, picture))
        pictures = tuple(page.candidates[concept][picture] for picture in ids)
        part = QuestionPart(concept, pictures, proof_of(page.proof_key, annotator, concept, ids))
        seen = tuple(sorted(candidate.sha256 for candidate in pictures))
        at = place.get(seen)
        if at is not None and all(other.concept != concept for other in questions[at]):
            questions[at].append(part)
        else:
            place[seen] = len(questions)
            questions.append([part])
    return [Question(tuple(parts)) for parts in questions]


def pictures_at_once(page: Workspace, task: Task) -> int:
    """How many pictures of a concept a question is about."""
    return page.settings.params.annotation.ranked if task.kind == "ranking" else 1


def _draw(*texts: str) -> str:
    """A number, as hex, that looks random and is the same after a restart."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
