"""Count how many pictures each annotator sees a day. A picture counts once, when it is answered or skipped."""

from collections.abc import Iterable
from datetime import datetime

from hfi_core.annotation.service.state import ServerState


class Exposure:
    """The pictures that each annotator has seen, with the day on the server's calendar."""

    def __init__(self, state: ServerState, daily_limit: int):
        self._state, self._daily_limit = state, daily_limit

    def record(self, annotator: str, digests: Iterable[str], now: datetime) -> None:
        """Record pictures, by digest, that the annotator has seen."""
        day = _day(now)
        with self._state.transaction(durable=False) as database:
            database.executemany(
                "INSERT INTO exposure VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(annotator, digest, day) for digest in digests],
            )

    def count_all(self, annotator: str) -> int:
        """Return how many pictures the annotator has seen on all days."""
        return self._state.query("SELECT count(*) FROM exposure WHERE annotator = ?", annotator)[0][0]

    def remaining_today(self, annotator: str, now: datetime) -> int:
        """Return how many more pictures the annotator may see today."""
        query = "SELECT count(*) FROM exposure WHERE annotator = ? AND day = ?"
        return max(0, self._daily_limit - self._state.query(query, annotator, _day(now))[0][0])


def _day(now: datetime) -> str:
    return now.astimezone().date().isoformat()
