"""Choose an annotator's next questions: pictures leased from the store, with gold questions among them.

Each question is signed for its annotator, so that nobody can answer a question that was not asked. A gold question
looks like any other question.
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
from hfi_core.feedback.gold import make_question_key

if TYPE_CHECKING:
    from hfi_core.feedback.store import Assignment

_MAX_FOREIGN_PICTURES = 5000
"""Pictures of another manifest that one request skips. Only a newly drawn set of candidates has more."""

PictureRef = str
"""`CONCEPT/PICTURE`."""


@dataclass(frozen=True)
class QuestionPart:
    """One concept of a question: one picture, or several for a ranking."""

    concept: str
    pictures: tuple[Candidate, ...]
    proof: str

    @property
    def refs(self) -> tuple[PictureRef, ...]:
        """References to its pictures."""
        return tuple(f"{self.concept}/{candidate.id}" for candidate in self.pictures)


@dataclass(frozen=True)
class Question:
    """A question as it is shown. Binary: one picture, and one part for each concept. Ranking: one part."""

    parts: tuple[QuestionPart, ...]

    @property
    def refs(self) -> tuple[PictureRef, ...]:
        """References to its pictures, for each of its concepts."""
        return tuple(ref for part in self.parts for ref in part.refs)

    @property
    def digests(self) -> frozenset[str]:
        """Digests of the pictures that the question shows."""
        return frozenset(candidate.sha256 for part in self.parts for candidate in part.pictures)


def sign_question(key: bytes, annotator: str, concept: str, pictures: Iterable[str]) -> str:
    """Return a signature (HMAC-SHA256) which proves that this annotator was asked about these pictures."""
    message = "\0".join([annotator, concept, *sorted(pictures)])
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def verify_proof(key: bytes, annotator: str, concept: str, pictures: Iterable[str], proof: str) -> bool:
    """Return whether a proof is the signature of this question."""
    return hmac.compare_digest(sign_question(key, annotator, concept, pictures).encode(), proof.encode())


def list_gold_questions(workspace: Workspace, task: Task, annotator: str) -> list[Question]:
    """Return every gold question of a task, in a pseudorandom order that depends on the annotator."""
    gold = ((concept, key.split()) for concept in task.concepts for key in workspace.gold[concept])
    return sorted(
        _merge_parts(workspace, annotator, gold), key=lambda question: _pseudorandom_hex(annotator, *question.refs)
    )


def choose_next_questions(
    workspace: Workspace,
    task: Task,
    annotator: str,
    browser_questions: Sequence[Sequence[PictureRef]],
    count: int,
    now: datetime,
) -> list[Question]:
    """Return up to `count` questions in addition to those that the browser has."""
    browser_refs = {ref for refs in browser_questions for ref in refs}
    ordinary = _lease_questions(workspace, task, annotator, browser_refs, count, now)
    answered = workspace.gold_answers.list_answered(annotator)
    gold = [
        question
        for question in list_gold_questions(workspace, task, annotator)
        if not browser_refs.intersection(question.refs) and not answered.intersection(list_question_keys(question))
    ]
    size = pictures_per_question(workspace, task)
    asked_before = workspace.exposure.count_all(annotator) // size + len(browser_questions)
    share = workspace.settings.params.annotation.gold_share
    questions: list[Question] = []
    while ordinary and len(questions) < count:
        slot = asked_before + len(questions)
        is_gold = gold and random.Random(_pseudorandom_hex(annotator, task.name, str(slot))).random() < share
        questions.append(gold.pop(0) if is_gold else ordinary.pop(0))
    return questions


def list_question_keys(question: Question) -> list[tuple[str, str]]:
    """Return (concept, question) of each part, as the server's own database names it."""
    return [
        (part.concept, make_question_key(tuple(candidate.id for candidate in part.pictures))) for part in question.parts
    ]


def _lease_questions(
    workspace: Workspace, task: Task, annotator: str, browser_refs: set[PictureRef], count: int, now: datetime
) -> list[Question]:
    size = pictures_per_question(workspace, task)
    leased: list[tuple[str, list[str]]] = []
    for concept in task.concepts:
        # Two more pictures than the rankings need show whether a single picture would be left over.
        wanted = count * size + (2 if task.kind == "ranking" else 0)
        pictures, are_last = _lease_pictures(workspace, concept, annotator, browser_refs, wanted, now)
        if task.kind == "ranking":
            return _build_rankings(workspace, annotator, concept, pictures, are_last)
        leased += [(concept, [picture]) for picture in pictures]
    return _merge_parts(workspace, annotator, leased)


def _lease_pictures(
    workspace: Workspace, concept: str, annotator: str, browser_refs: set[PictureRef], count: int, now: datetime
) -> tuple[list[str], bool]:
    """Lease `count` pictures in addition to those that the browser has, and return whether no more are left.

    Pictures that another manifest offered are skipped, and released for a server that can show them.
    """
    store, annotation = workspace.settings.store, workspace.settings.params.annotation
    earlier_leases = store.list_leased(concept, annotator, now)
    # Count a browser's pictures only if they are leased to it: otherwise one browser could reserve a whole concept.
    held_leases = {picture for picture in earlier_leases if f"{concept}/{picture}" in browser_refs}
    foreign: set[str] = set()
    while True:
        wanted = len(held_leases) + count + 2 * len(foreign)  # doubling: a thousand foreign pictures take ten rounds
        leased = store.assign(
            concept, annotator, count=wanted, judgements=annotation.judgements,
            lease=timedelta(minutes=annotation.lease_minutes), now=now,
        )  # fmt: skip
        foreign |= {assignment.picture for assignment in leased if not _can_show(workspace, assignment)}
        pictures = [assignment.picture for assignment in leased if assignment.picture not in held_leases | foreign]
        if len(pictures) >= count or len(leased) < wanted or len(foreign) > _MAX_FOREIGN_PICTURES:
            break
    surplus = set(pictures[count:]) - earlier_leases
    if foreign or surplus:
        store.return_pictures(concept, annotator, foreign | surplus)
    return [picture for picture in pictures if picture not in surplus], len(leased) < wanted and not surplus


def _can_show(workspace: Workspace, assignment: "Assignment") -> bool:
    candidate = workspace.candidates[assignment.concept].get(assignment.picture)
    is_askable = assignment.picture in workspace.askable[assignment.concept]
    return candidate is not None and candidate.sha256 == assignment.sha256 and is_askable


def _build_rankings(
    workspace: Workspace, annotator: str, concept: str, pictures: list[str], are_last: bool
) -> list[Question]:
    """Return questions with full sets of pictures.

    An incomplete set is asked only when no other pictures are left. A single remaining picture joins the set before it.

    Half of the annotators get sets in the store's order, so that several people rank the same pictures. The others get
    shuffled sets, so that the rankings connect: only then are scores of different sets comparable.
    """
    if int(_pseudorandom_hex(annotator, "mixed"), 16) % 2:
        pictures = sorted(pictures, key=lambda picture: _pseudorandom_hex(annotator, picture))
    size = workspace.settings.params.annotation.ranked
    sets = [pictures[start : start + size] for start in range(0, len(pictures), size)]
    if sets and len(sets[-1]) < size:
        rest = sets.pop()
        if are_last and len(rest) == 1 and sets:
            sets[-1] += rest
        elif are_last:
            sets.append(rest)
    return _merge_parts(workspace, annotator, ((concept, pictures) for pictures in sets))


def _merge_parts(
    workspace: Workspace, annotator: str, concept_pictures: Iterable[tuple[str, Sequence[str]]]
) -> list[Question]:
    """Merge parts about the same pictures into one question."""
    questions: list[list[QuestionPart]] = []
    index_by_digests: dict[tuple[str, ...], int] = {}
    for concept, ids in concept_pictures:
        # The position of a picture must say nothing about it.
        ids = sorted(ids, key=lambda picture: _pseudorandom_hex(annotator, concept, picture))
        pictures = tuple(workspace.candidates[concept][picture] for picture in ids)
        part = QuestionPart(concept, pictures, sign_question(workspace.proof_key, annotator, concept, ids))
        digests = tuple(sorted(candidate.sha256 for candidate in pictures))
        index = index_by_digests.get(digests)
        if index is not None and all(other.concept != concept for other in questions[index]):
            questions[index].append(part)
        else:
            index_by_digests[digests] = len(questions)
            questions.append([part])
    return [Question(tuple(parts)) for parts in questions]


def pictures_per_question(workspace: Workspace, task: Task) -> int:
    """Return how many pictures a question of a task shows."""
    return workspace.settings.params.annotation.ranked if task.kind == "ranking" else 1


def _pseudorandom_hex(*texts: str) -> str:
    """Return a pseudorandom number in hexadecimal. It is the same after a restart."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
