"""Which pictures of judged candidates have been kept long enough; the manifest and the judgements stay for ever."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hfi_core.candidates.manifest import Candidate, read_manifest
from hfi_core.feedback.schema import Judgement, is_current

GONE = "gone already"
GOLD = "asked as gold questions"
UNJUDGED = "not judged enough yet"
YOUNG = "judged too recently"


@dataclass(frozen=True)
class Expiry:
    """What of a concept's pictures would go, and why the others stay."""

    concept: str
    folder: Path
    expired: tuple[Candidate, ...]
    kept: Counter[str]

    @property
    def files(self) -> list[Path]:
        """The picture files that would go."""
        return [self.folder / candidate.file for candidate in self.expired]


def expiry_of(
    concept: str,
    folder: Path,
    judgements: Iterable[Judgement],
    *,
    wanted: int,
    days: int,
    gold: Collection[str],
    now: datetime,
) -> Expiry:
    """Pictures with `wanted` counting judgements on them as they are now, of which the latest is `days` old.

    A judgement that does not say when it was given is taken to be as old as the picture's file.
    """
    answered: Counter[str] = Counter()
    latest: dict[str, datetime] = {}
    undated: set[str] = set()
    candidates = {candidate.id: candidate for candidate in read_manifest(folder)}
    for judgement in judgements:
        if not is_current(judgement, candidates):
            continue
        for picture in judgement.pictures:
            answered[picture] += 1
            if judgement.answered_at is None:
                undated.add(picture)
            else:
                latest[picture] = max(latest.get(picture, judgement.answered_at), judgement.answered_at)
    expired, kept = [], Counter()
    for candidate in candidates.values():
        path = folder / candidate.file
        if not path.is_file():
            kept[GONE] += 1
        elif candidate.id in gold:
            kept[GOLD] += 1
        elif answered[candidate.id] < wanted:
            kept[UNJUDGED] += 1
        else:
            times = [latest[candidate.id]] if candidate.id in latest else []
            if candidate.id in undated:
                times.append(datetime.fromtimestamp(path.stat().st_mtime, UTC))
            if max(times) > now - timedelta(days=days):
                kept[YOUNG] += 1
            else:
                expired.append(candidate)
    return Expiry(concept, folder, tuple(expired), kept)
