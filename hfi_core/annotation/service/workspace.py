"""State of the running annotation server: settings, candidates, tasks, and the services that track annotators."""

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from hfi_core.annotation.content.guidelines import check_guideline_files
from hfi_core.annotation.service.exposure import Exposure
from hfi_core.annotation.service.gold_answers import GoldAnswers
from hfi_core.annotation.service.receipts import Receipts
from hfi_core.annotation.service.review_figures import FigureKeeper, ReviewFigures
from hfi_core.annotation.service.state import STATE_FILE, ServerState
from hfi_core.annotation.service.tasks import Task, build_tasks
from hfi_core.annotation.settings import ServerSettings
from hfi_core.candidates.manifest import MANIFEST, Candidate, read_manifest
from hfi_core.errors import UserError
from hfi_core.feedback.gold import list_askable_candidates, read_gold
from hfi_core.feedback.schema import Judgement

_log = logging.getLogger(__name__)

ManifestStamps = dict[str, tuple[int, int] | None]
"""Inode and modification time (nanoseconds) of each concept's manifest; None if there is no manifest."""

MAX_PROGRESS_AGE_SECONDS = 3.0
"""How old progress figures may be. Counting judgements costs more than a question."""


@dataclass(frozen=True)
class TaskProgress:
    """Progress of a task: pictures, pictures with enough judgements, and judgements given and required."""

    pictures: int
    done: int
    answered: int
    asked: int
    annotators: int


@dataclass(frozen=True)
class AnnotatorProgress:
    """Progress as annotators see it. An answer to a gold question counts as any other answer."""

    pictures: int
    answered: int
    asked: int
    annotators: int

    @property
    def is_finished(self) -> bool:
        """Whether every picture has enough judgements."""
        return self.answered >= self.asked > 0


@dataclass(frozen=True)
class Workspace:
    """State of one server. `refresh_workspace` replaces it when a manifest changes."""

    settings: ServerSettings
    stamps: ManifestStamps
    candidates: dict[str, dict[str, Candidate]]
    gold: dict[str, dict[str, Judgement]]
    """Known answers by concept and question."""
    askable: dict[str, frozenset[str]]
    """The pictures that ordinary questions may show, by concept."""
    tasks: tuple[Task, ...]
    state: ServerState
    gold_answers: GoldAnswers
    exposure: Exposure
    receipts: Receipts
    proof_key: bytes
    _progress: dict[str, tuple[float, tuple[TaskProgress, AnnotatorProgress]]] = field(default_factory=dict)

    _figures: dict[str, FigureKeeper] = field(default_factory=dict)
    _figures_lock: threading.Lock = field(default_factory=threading.Lock)

    def find_task(self, name: str) -> Task | None:
        """Return the task with this name, or the task of the concept with this name."""
        return next((task for task in self.tasks if name == task.name or name in task.concepts), None)

    def measure_progress(self, task: Task) -> TaskProgress:
        """Return the progress of a task, at most `MAX_PROGRESS_AGE_SECONDS` old."""
        return self._measure(task)[0]

    def measure_annotator_progress(self, task: Task) -> AnnotatorProgress:
        """Return the progress that annotators may see, at most `MAX_PROGRESS_AGE_SECONDS` old.

        Figures that stand still after an answer would show that its question was a gold question. So answers to gold
        questions are counted too, and whoever gave only such answers counts as an annotator. The figure reaches the
        number of required answers only when the judgements do.
        """
        return self._measure(task)[1]

    def _measure(self, task: Task) -> tuple[TaskProgress, AnnotatorProgress]:
        measured_at, progress = self._progress.get(task.name, (float("-inf"), None))
        if progress is None or time.monotonic() - measured_at > MAX_PROGRESS_AGE_SECONDS:
            judgements = self.settings.params.annotation.judgements
            parts = [self.settings.store.count_progress(concept, judgements) for concept in task.concepts]
            true = TaskProgress(
                pictures=sum(part.pictures for part in parts),
                done=sum(part.done for part in parts),
                answered=sum(part.answered for part in parts),
                asked=sum(part.asked for part in parts),
                annotators=max(part.annotators for part in parts),
            )
            if len(parts) > 1:
                true = replace(true, pictures=self._count_pictures(task))
            progress = true, self._include_gold(task, true)
            self._progress[task.name] = time.monotonic(), progress
        return progress

    def _include_gold(self, task: Task, true: TaskProgress) -> AnnotatorProgress:
        gold = [self.gold_answers.list_answered_among_others(concept) for concept in task.concepts]
        annotators = true.annotators
        if any(gold):  # names take longer to read than their number
            annotators = max(
                len({*self.settings.store.list_annotators(concept), *(annotator for annotator, _ in answers)})
                for concept, answers in zip(task.concepts, gold, strict=True)
            )
        answered = true.asked
        if true.answered < true.asked:
            gold_answers = sum(len(question.split()) for answers in gold for _, question in answers)
            answered = min(true.answered + gold_answers, true.asked - 1)
        return AnnotatorProgress(true.pictures, answered, true.asked, annotators)

    def update_figures(self, concept: str, kind: str) -> ReviewFigures:
        """Return the lead's figures on a concept. The first call reads every judgement, a later one the new ones."""
        with self._figures_lock:
            keeper = self._figures.get(concept)
            if keeper is None:
                keeper = self._figures[concept] = FigureKeeper(concept, kind, self.candidates[concept])
            return keeper.update(self.settings.store)

    def _count_pictures(self, task: Task) -> int:
        """Return the number of a task's pictures, each counted once even if several concepts share it."""
        return len(
            {
                candidate.sha256
                for concept in task.concepts
                for candidate in self.candidates[concept].values()
                if candidate.id in self.askable[concept]
            }
        )


def open_workspace(settings: ServerSettings) -> Workspace:
    """Read the manifests and the gold questions, and offer exactly the askable pictures in the store.

    Raises UserError if a file is missing.
    """
    check_guideline_files(settings.params.annotation, settings.folder)
    read = _read_manifests(settings)
    state = ServerState(settings.access.private / STATE_FILE)
    return Workspace(
        settings=settings,
        **read,
        state=state,
        gold_answers=GoldAnswers(state),
        exposure=Exposure(state, settings.params.annotation.daily_limit),
        receipts=Receipts(state),
        proof_key=state.proof_key,
    )


def _read_manifests(settings: ServerSettings) -> dict[str, Any]:
    """Return the fields of a workspace that depend on the manifests; offer the askable pictures in the store."""
    params, stamps, candidates = settings.params, _read_stamps(settings), {}
    for concept in params.concepts:
        rows = read_manifest(settings.candidates_of(concept))
        candidates[concept] = {candidate.id: candidate for candidate in rows}
    gold: dict[str, dict[str, Judgement]] = {concept: {} for concept in params.concepts}
    if params.annotation.gold:
        gold = read_gold(settings.folder / params.annotation.gold, params.concepts, candidates)
    offered = {
        concept: list_askable_candidates(
            params, concept, rows.values(), settings.folder, settings.candidates_of(concept)
        )
        for concept, rows in candidates.items()
    }
    for concept, rows in offered.items():
        settings.store.offer(concept, rows, only=True)
    return {
        "stamps": stamps,
        "candidates": candidates,
        "gold": gold,
        "askable": {concept: frozenset(candidate.id for candidate in rows) for concept, rows in offered.items()},
        "tasks": build_tasks(params.concepts, candidates),
    }


def _read_stamps(settings: ServerSettings) -> ManifestStamps:
    stamps: ManifestStamps = {}
    for concept in settings.params.concepts:
        try:
            status = (settings.candidates_of(concept) / MANIFEST).stat()
            stamps[concept] = status.st_ino, status.st_mtime_ns
        except OSError:
            stamps[concept] = None
    return stamps


def refresh_workspace(workspace: Workspace) -> Workspace:
    """Return the workspace with the candidates that the manifests contain now."""
    stamps = _read_stamps(workspace.settings)
    if stamps == workspace.stamps:
        return workspace
    try:
        return replace(workspace, **_read_manifests(workspace.settings), _progress={}, _figures={})
    except UserError as error:
        # Annotators cannot fix this: continue with the earlier candidates, and log it once.
        _log.warning(
            "The candidates have changed, but cannot be read. The server continues with the old ones. %s", error
        )
        return replace(workspace, stamps=stamps)
