"""What one running page holds: the settings, what may be asked about, and the rooms that answer questions on people."""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from hfi_core.annotation.content.guidelines import check_files
from hfi_core.annotation.service.exposure import Exposure
from hfi_core.annotation.service.gold_answers import GoldAnswers
from hfi_core.annotation.service.state import STATE_FILE, ServerState
from hfi_core.annotation.service.tasks import Task, tasks_of
from hfi_core.annotation.settings import ServerSettings
from hfi_core.candidates.manifest import MANIFEST, Candidate, read_manifest
from hfi_core.errors import UserError
from hfi_core.feedback.gold import askable_candidates, read_gold
from hfi_core.feedback.schema import Judgement

_log = logging.getLogger(__name__)

Stamps = dict[str, tuple[int, int] | None]
"""Inode and time of each manifest's file."""

PROGRESS_SECONDS = 3.0
"""How old the figures on the progress may be; counting them for every question would cost more than the question."""


@dataclass(frozen=True)
class TaskProgress:
    """How far a task is: what there is to see, pictures with enough judgements, and judgements given and wanted."""

    pictures: int
    done: int
    answered: int
    asked: int
    annotators: int


@dataclass(frozen=True)
class Workspace:
    """Made by `create_app`, and again when a manifest has changed."""

    settings: ServerSettings
    stamps: Stamps
    candidates: dict[str, dict[str, Candidate]]
    gold: dict[str, dict[str, Judgement]]
    """Known answers by concept and question."""
    askable: dict[str, frozenset[str]]
    """The pictures that ordinary questions may be about, by concept."""
    tasks: tuple[Task, ...]
    state: ServerState
    book: GoldAnswers
    exposure: Exposure
    proof_key: bytes
    _work: dict[str, tuple[float, TaskProgress]] = field(default_factory=dict)

    def task(self, name: str) -> Task | None:
        """The task of that name, or the one that asks about the concept of that name."""
        return next((task for task in self.tasks if name == task.name or name in task.concepts), None)

    def work(self, task: Task) -> TaskProgress:
        """How far a task is, at most `PROGRESS_SECONDS` old."""
        at, work = self._work.get(task.name, (float("-inf"), None))
        if work is None or time.monotonic() - at > PROGRESS_SECONDS:
            wanted = self.settings.params.annotation.judgements
            found = [self.settings.store.progress(concept, wanted) for concept in task.concepts]
            sums = [sum(getattr(one, name) for one in found) for name in ("pictures", "done", "answered", "asked")]
            work = TaskProgress(*sums, annotators=max(one.annotators for one in found))
            if len(found) > 1:
                work = replace(work, pictures=self._seen_at_once(task))
            self._work[task.name] = time.monotonic(), work
        return work

    def _seen_at_once(self, task: Task) -> int:
        """Pictures, each counted once however many concepts ask about it."""
        return len(
            {
                candidate.sha256
                for concept in task.concepts
                for candidate in self.candidates[concept].values()
                if candidate.id in self.askable[concept]
            }
        )


def open_workspace(settings: ServerSettings) -> Workspace:
    """Read the manifests and the gold questions, and offer what is askable and nothing else.

    Raises UserError that names what is missing.
    """
    check_files(settings.params, settings.folder)
    read = _read(settings)
    state = ServerState(settings.private / STATE_FILE)
    return Workspace(
        settings=settings,
        **read,
        state=state,
        book=GoldAnswers(state),
        exposure=Exposure(state, settings.params.annotation.daily_limit),
        proof_key=state.proof_key,
    )


def _read(settings: ServerSettings) -> dict[str, Any]:
    """The fields of a page that rest on the manifests; offers what they hold."""
    params, stamps, candidates = settings.params, _stamps(settings), {}
    for concept in params.concepts:
        rows = read_manifest(settings.folder / "candidates" / concept)
        candidates[concept] = {candidate.id: candidate for candidate in rows}
    gold: dict[str, dict[str, Judgement]] = {concept: {} for concept in params.concepts}
    if params.annotation.gold:
        gold = read_gold(settings.folder / params.annotation.gold, params, candidates)
    offered = {
        concept: askable_candidates(params, concept, rows.values(), settings.folder)
        for concept, rows in candidates.items()
    }
    for concept, rows in offered.items():
        settings.store.offer(concept, rows, only=True)
    return {
        "stamps": stamps,
        "candidates": candidates,
        "gold": gold,
        "askable": {concept: frozenset(candidate.id for candidate in rows) for concept, rows in offered.items()},
        "tasks": tasks_of(params, candidates),
    }


def _stamps(settings: ServerSettings) -> Stamps:
    """What changes when a manifest is written anew, by concept; None where there is none."""
    found: dict[str, tuple[int, int] | None] = {}
    for concept in settings.params.concepts:
        try:
            status = (settings.folder / "candidates" / concept / MANIFEST).stat()
            found[concept] = status.st_ino, status.st_mtime_ns
        except OSError:
            found[concept] = None
    return found


def refresh(page: Workspace) -> Workspace:
    """Return the page with the candidates that the manifests hold now."""
    stamps = _stamps(page.settings)
    if stamps == page.stamps:
        return page
    try:
        return replace(page, **_read(page.settings), _work={})
    except UserError as error:
        # No annotator can fix it: go on with the earlier candidates, and say it once in the server's log.
        _log.warning("The candidates have changed, and the page goes on with the earlier ones. %s", error)
        return replace(page, stamps=stamps)
