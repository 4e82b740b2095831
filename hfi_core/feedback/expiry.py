"""Decide which pictures expire. `flows/feedback/expiry.py` deletes them; manifest and judgements stay for ever."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hfi_core.candidates.manifest import Candidate, read_manifest
from hfi_core.feedback.schema import Judgement, is_current

ALREADY_DELETED = "gone already"
GOLD = "asked as gold questions"
TOO_FEW_JUDGEMENTS = "not judged enough yet"
RECENTLY_JUDGED = "judged too recently"


@dataclass(frozen=True)
class ExpiryPlan:
    """The pictures of a concept that expire, and how many stay for which reason."""

    concept: str
    folder: Path
    expired: tuple[Candidate, ...]
    retained: Counter[str]

    @property
    def files(self) -> list[Path]:
        """The picture files to delete."""
        return [self.folder / candidate.file for candidate in self.expired]


def plan_concept_expiry(
    concept: str,
    folder: Path,
    judgements: Iterable[Judgement],
    *,
    min_judgements: int,
    retention_days: int,
    gold: Collection[str],
    now: datetime,
) -> ExpiryPlan:
    """Decide which pictures of a concept expire.

    A picture expires if it is not a gold question, has at least `min_judgements` current judgements, and the latest of
    these is at least `retention_days` old. A judgement without a time is taken to be as old as the picture's file.
    """
    counts: Counter[str] = Counter()
    latest: dict[str, datetime] = {}
    undated: set[str] = set()
    candidates = {candidate.id: candidate for candidate in read_manifest(folder)}
    for judgement in judgements:
        if not is_current(judgement, candidates):
            continue
        for picture in judgement.pictures:
            counts[picture] += 1
            if judgement.answered_at is None:
                undated.add(picture)
            else:
                latest[picture] = max(latest.get(picture, judgement.answered_at), judgement.answered_at)
    expired, retained = [], Counter()
    for candidate in candidates.values():
        path = folder / candidate.file
        if not path.is_file():
            retained[ALREADY_DELETED] += 1
        elif candidate.id in gold:
            retained[GOLD] += 1
        elif counts[candidate.id] < min_judgements:
            retained[TOO_FEW_JUDGEMENTS] += 1
        else:
            times = [latest[candidate.id]] if candidate.id in latest else []
            if candidate.id in undated:
                times.append(datetime.fromtimestamp(path.stat().st_mtime, UTC))
            if max(times) > now - timedelta(days=retention_days):
                retained[RECENTLY_JUDGED] += 1
            else:
                expired.append(candidate)
    return ExpiryPlan(concept, folder, tuple(expired), retained)
