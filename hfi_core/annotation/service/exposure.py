"""How much an annotator is shown a day. A picture counts once, when it is answered or skipped."""

from collections.abc import Iterable
from datetime import datetime

from hfi_core.annotation.service.state import ServerState


class Exposure:
    """Which pictures an annotator has been shown, and on which day of the server's calendar."""

    def __init__(self, state: ServerState, daily_limit: int):
        self._state, self.daily_limit = state, daily_limit

    def count(self, annotator: str, digests: Iterable[str], now: datetime) -> None:
        """Note pictures, by digest, that the annotator has seen."""
        day = now.astimezone().date().isoformat()
        with self._state.writing(durable=False) as database:
            database.executemany(
                "INSERT INTO exposure VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(annotator, digest, day) for digest in digests],
            )

    def today(self, annotator: str, now: datetime) -> int:
        """Pictures shown to the annotator today."""
        day = now.astimezone().date().isoformat()
        query = "SELECT count(*) FROM exposure WHERE annotator = ? AND day = ?"
        return self._state.rows(query, annotator, day)[0][0]

    def ever(self, annotator: str) -> int:
        """Pictures shown to the annotator on any day."""
        return self._state.rows("SELECT count(*) FROM exposure WHERE annotator = ?", annotator)[0][0]

    def left(self, annotator: str, now: datetime) -> int:
        """Pictures that the annotator may still be shown today."""
        return max(0, self.daily_limit - self.today(annotator, now))
