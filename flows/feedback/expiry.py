"""Delete expired pictures: from the candidates' folder, from an import's folder, and from DVC's cache.

`hfi_core.feedback.expiry` decides which pictures of a concept expire. Here the whole project is planned, and no picture
is deleted that a unit will read again.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from flows.orchestration.plan import Plan
from flows.versioning import inputs
from flows.versioning import repo as versioning
from hfi_core.candidates.manifest import read_manifest
from hfi_core.errors import UserError
from hfi_core.feedback.expiry import ExpiryPlan, plan_concept_expiry
from hfi_core.feedback.reader import read_judgements
from hfi_core.feedback.schema import Judgement
from hfi_core.params import Feedback, Params
from hfi_core.pipeline.graph import Unit
from hfi_core.pipeline.layout import CANDIDATES


def plan_expiry(params: Params, now: datetime) -> list[ExpiryPlan]:
    """Plan the expiry of every concept's pictures, without deleting anything.

    Raises UserError if `annotation.retention_days` is null, or if the judgements are simulated.
    """
    retention_days = params.annotation.retention_days
    if retention_days is None:
        raise UserError(
            "annotation.retention_days is null, so no picture expires.\n  To fix this: set it in operations.yaml."
        )
    if params.feedback.simulated:
        raise UserError("The simulated crowd judged these pictures and would draw them again: nothing expires.")
    min_judgements = params.feedback.minimum
    if params.feedback.store:
        min_judgements = max(min_judgements, params.annotation.judgements)
    gold = _gold_pictures(params.annotation.gold)
    return [
        plan_concept_expiry(
            concept,
            CANDIDATES / concept,
            _counting_judgements(params.feedback, concept),
            min_judgements=min_judgements,
            retention_days=retention_days,
            gold=gold,
            now=now,
        )
        for concept in params.concepts
        if (CANDIDATES / concept).exists()
    ]


def find_readers(plan: Plan, expiry: ExpiryPlan) -> list[Unit]:
    """Find the units that will read a concept's pictures in the next run: they or their inputs are out of date."""
    return [unit for unit in plan.affected if _reads(unit, expiry.folder)]


def require_no_new_judgements(feedback: Feedback) -> None:
    """Raise UserError if the store holds judgements that no snapshot does: the next run will read their pictures."""
    if not feedback.store:
        return
    path = Path(feedback.file)
    known = {judgement.id for _, judgement in read_judgements(path)} if path.exists() else set()
    from hfi_core.feedback.store import open_store

    with open_store(feedback.database_url) as store:
        new_count = sum(judgement.id not in known for judgement in store.read_judgements())
    if new_count:
        raise UserError(
            f"{new_count} judgement(s) arrived after the last run, and the next one learns from their pictures.\n"
            "  To fix this: `hfi run` first, then let pictures expire."
        )


def apply_expiry(plan: Plan, expiry: ExpiryPlan) -> int:
    """Delete a concept's expired files and their copies in DVC's cache. Return the number of files.

    DVC records the folder as it is afterwards, and the units that read it as up to date: their results remain those of
    the deleted pictures. Pictures are deleted from the imported sets, and from what was drawn, too.
    """
    file_counts = _count_files_by_digest(plan.params.concepts)
    md5_by_path = {path: hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in expiry.files}
    sets = [Path(path) for path in plan.params.candidates.sets_of(expiry.concept)]
    drawn = [unit.outputs["candidates"] for unit in plan.units if unit.address == f"generate@{expiry.concept}"]
    folders = [expiry.folder, *sets, *drawn]
    for path in md5_by_path:
        for folder in folders:
            (folder / path.relative_to(expiry.folder)).unlink(missing_ok=True)
    for marker in map(inputs.dvc_file_of, sets):
        if marker.exists():
            versioning.commit_outputs(marker.as_posix())
    for unit in plan.units:
        if any(_writes(unit, folder) or _reads(unit, folder) for folder in folders):
            versioning.commit_outputs(unit.address)
    unshared = [expiry.folder / candidate.file for candidate in expiry.expired if file_counts[candidate.sha256] == 1]
    with versioning.open_repository() as repo:
        for path in unshared:  # after the commit, which may read them
            Path(repo.cache.local.oid_to_path(md5_by_path[path])).unlink(missing_ok=True)
    return len(md5_by_path)


def _count_files_by_digest(concepts: Iterable[str]) -> Counter[str]:
    """Count the files with the same picture, by digest: several concepts may have the same one."""
    counts: Counter[str] = Counter()
    for concept in concepts:
        folder = CANDIDATES / concept
        rows = read_manifest(folder) if folder.exists() else []
        counts.update(row.sha256 for row in rows if (folder / row.file).is_file())
    return counts


def _writes(unit: Unit, folder: Path) -> bool:
    return any(path == folder for path in unit.outputs.values())


def _reads(unit: Unit, folder: Path) -> bool:
    return any(folder.is_relative_to(path) for path in unit.inputs.values())


def _counting_judgements(feedback: Feedback, concept: str) -> Iterator[Judgement]:
    if feedback.store:
        from hfi_core.feedback.store import open_store

        with open_store(feedback.database_url) as store:
            yield from store.read_judgements(concept, counting=True)
        return
    of_concept = [judgement for _, judgement in read_judgements(Path(feedback.file)) if judgement.concept == concept]
    superseded = {judgement.supersedes for judgement in of_concept}
    yield from (judgement for judgement in of_concept if judgement.id not in superseded)


def _gold_pictures(file: str | None) -> set[str]:
    if file is None:
        return set()
    return {picture for _, judgement in read_judgements(Path(file)) for picture in judgement.pictures}
