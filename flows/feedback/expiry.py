"""Lets picture files expire: only what no unit will read again, and so that DVC, too, keeps them no longer."""

import hashlib
from collections import Counter
from collections.abc import Iterator
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
from hfi_core.params import Params
from hfi_core.pipeline.graph import Unit
from hfi_core.pipeline.layout import CANDIDATES


def plan_expiry(params: Params, now: datetime) -> list[ExpiryPlan]:
    """What would go, by concept.

    Raises UserError where nothing is to expire, or where the judgements are not people's.
    """
    days = params.annotation.retention_days
    if days is None:
        raise UserError("annotation.retention_days is null: no picture ever expires. Set it in params.yaml.")
    if params.feedback.simulated:
        raise UserError("These pictures were judged by the simulated crowd, which draws them anew: nothing to expire.")
    wanted = params.feedback.minimum
    if params.feedback.store:
        wanted = max(wanted, params.annotation.judgements)
    gold = _gold(params)
    return [
        plan_concept_expiry(
            concept, CANDIDATES / concept, _judgements(params, concept), wanted=wanted, days=days, gold=gold, now=now
        )
        for concept in params.concepts
        if (CANDIDATES / concept).exists()
    ]


def find_readers(plan: Plan, expiry: ExpiryPlan) -> list[Unit]:
    """Units that will read a concept's pictures in the next run: they, or what they rest on, are out of date."""
    return [unit for unit in plan.affected if _reads(unit, expiry.folder)]


def require_no_new_judgements(params: Params) -> None:
    """Raise UserError if the store holds judgements that no run has seen: the next run will look at their pictures."""
    if not params.feedback.store:
        return
    path = Path(params.feedback.file)
    seen = {judgement.id for _, judgement in read_judgements(path)} if path.exists() else set()
    from hfi_core.feedback.store import open_store

    with open_store(params.feedback.database_url) as store:
        new = sum(judgement.id not in seen for judgement in store.judgements())
    if new:
        raise UserError(
            f"{new} judgement(s) came in since the last run, and the next one learns from their pictures.\n"
            "  To mend it: `hfi run` first, then let pictures expire."
        )


def apply_expiry(plan: Plan, expiry: ExpiryPlan) -> int:
    """Remove the files, their copies in DVC's cache, and tell DVC that this is how the folder is now; how many went.

    The units that read the folder are up to date, so their results stay those of the pictures that were there. Pictures
    that were imported go from the folder of the import, too.
    """
    shared = _still_shown(plan.params)
    doomed = {path: hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() for path in expiry.files}
    source = plan.params.candidates.imported.get(expiry.concept)
    for path in doomed:
        path.unlink()
        if source is not None:
            (Path(source) / path.relative_to(expiry.folder)).unlink(missing_ok=True)
    if source is not None and (marker := inputs.dvc_file_of(Path(source))).exists():
        versioning.commit_outputs(marker.as_posix())
    touched = [unit for unit in plan.units if _makes(unit, expiry.folder) or _reads(unit, expiry.folder)]
    for unit in touched:
        versioning.commit_outputs(unit.address)
    alone = [expiry.folder / one.file for one in expiry.expired if shared[one.sha256] == 1]
    with versioning.open_repository() as repo:
        for path in alone:  # after the commit, which may have looked for them
            Path(repo.cache.local.oid_to_path(doomed[path])).unlink(missing_ok=True)
    return len(doomed)


def _still_shown(params: Params) -> Counter[str]:
    """How many files hold a picture, by its digest: several concepts may ask about the same one."""
    found: Counter[str] = Counter()
    for concept in params.concepts:
        folder = CANDIDATES / concept
        rows = read_manifest(folder) if folder.exists() else []
        found.update(row.sha256 for row in rows if (folder / row.file).is_file())
    return found


def _makes(unit: Unit, folder: Path) -> bool:
    return any(path == folder for path in unit.outputs.values())


def _reads(unit: Unit, folder: Path) -> bool:
    return any(folder.is_relative_to(path) for path in unit.inputs.values())


def _judgements(params: Params, concept: str) -> Iterator[Judgement]:
    if params.feedback.store:
        from hfi_core.feedback.store import open_store

        with open_store(params.feedback.database_url) as store:
            yield from store.judgements(concept, counting=True)
        return
    every = [judgement for _, judgement in read_judgements(Path(params.feedback.file)) if judgement.concept == concept]
    superseded = {judgement.supersedes for judgement in every}
    yield from (judgement for judgement in every if judgement.id not in superseded)


def _gold(params: Params) -> set[str]:
    if params.annotation.gold is None:
        return set()
    known = [judgement for _, judgement in read_judgements(Path(params.annotation.gold))]
    return {picture for one in known for picture in one.pictures}
