"""The store's interface for the annotation page, the importers, the flows and the commands."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, delete, func, select

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.schema import Judgement, parse_judgement
from hfi_core.feedback.store import assignment, batches, snapshots
from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.entry import make_entry
from hfi_core.feedback.store.insert import insert_judgements
from hfi_core.feedback.store.migrate import migrate
from hfi_core.feedback.store.queries import is_counting, is_visible, recount, recount_pairs, select_related
from hfi_core.feedback.store.snapshots import SavedSnapshot, Snapshot
from hfi_core.feedback.store.tables import judgement, shown

_CHUNK = 1000


def open_store(url: str) -> "Store":
    """Open the store in `feedback.database_url`. Create or migrate it if needed.

    Raises UserError if the URL is wrong, the server is out of reach, the store is of a newer version, or the file is
    not a database.
    """
    database = Database(url)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


class Store:
    """Judgements, assignments and snapshots. Several threads and processes may use it at once.

    Every method raises UserError if the database fails.
    """

    def __init__(self, database: Database):
        self._database = database

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def add(self, added: Judgement) -> bool:
        """Add a judgement, durable on return. Return False if it was already there: its id is the idempotency key.

        Raises Conflict if the id belongs to another judgement, or the question was answered and `supersedes` is
        missing. Also raises it if `supersedes` names an answer that is superseded, by another annotator, or to another
        question.
        """
        entry = make_entry(added)

        def work(connection: Connection) -> bool:
            new = insert_judgements(connection, [entry], None)
            if new and entry.supersedes is None:
                recount(connection, entry.concept, entry.picture_digests)
            return bool(new)

        return self._database.write(work)

    def has_imported(self, key: str) -> bool:
        """Return whether a batch with this key was added."""
        return batches.has_batch(self._database, key)

    def add_batch(self, batch_key: str, judgements: Iterable[Judgement], *, source: str) -> batches.ImportedBatch:
        """Add all judgements or none. They are inserted in slices between other writers, and count at once at the end.

        `batch_key` is a digest of what is imported. Repeating it changes nothing, and does not read `judgements`.
        Raises Conflict as `add` does.
        """
        return batches.add_batch(self._database, batch_key, judgements, source)

    def read_judgements(
        self, concept: str | None = None, *, annotator: str | None = None, counting: bool = False
    ) -> Iterator[Judgement]:
        """Yield judgements sorted by id, of one moment, in constant memory. `counting` leaves out superseded ones."""
        query = select(judgement.c.content).where(is_counting() if counting else is_visible()).order_by(judgement.c.id)
        if concept is not None:
            query = query.where(judgement.c.concept == concept)
        if annotator is not None:
            query = query.where(judgement.c.annotator == annotator)
        with self._database.read() as connection:
            for line in connection.execution_options(yield_per=_CHUNK).execute(query).scalars():
                yield parse_judgement(line)

    def read_id_lines(self, concept: str) -> str:
        """Read the ids of a concept's judgements, one on each line, in no particular order.

        The database joins them several times faster than this process would read so many rows.
        """
        with self._database.read() as connection:
            lines = func.aggregate_strings(judgement.c.id, "\n")
            query = select(lines).where(judgement.c.concept == concept, is_visible())
            return connection.execute(query).scalar_one() or ""

    def read_by_ids(self, ids: Iterable[str]) -> Iterator[Judgement]:
        """Yield the judgements with these ids."""
        source = iter(ids)
        while chunk := list(islice(source, _CHUNK)):
            with self._database.read() as connection:
                query = select(judgement.c.content).where(judgement.c.id.in_(chunk), is_visible())
                lines = list(connection.execute(query).scalars())
            yield from map(parse_judgement, lines)

    def find_related(self, ids_and_questions: Iterable[tuple[str, str]]) -> Iterator[Judgement]:
        """Yield the judgements with one of the ids or questions, and all corrections of these.

        They are of one moment; memory is constant. A judgement may come several times.
        """
        source = iter(ids_and_questions)
        with self._database.read() as connection:
            while chunk := list(islice(source, _CHUNK)):
                ids, questions = [id for id, _ in chunk], [question for _, question in chunk]
                for line in connection.execute(select_related(ids, questions)).scalars():
                    yield parse_judgement(line)

    def get(self, id: str) -> Judgement | None:
        """Return the judgement with an id; None if there is none."""
        with self._database.read() as connection:
            line = connection.execute(select(judgement.c.content).where(judgement.c.id == id, is_visible())).scalar()
        return None if line is None else parse_judgement(line)

    def take_snapshot(self, path: Path) -> Snapshot:
        """Write all judgements to a canonical feedback file, sorted by id. The same store gives the same bytes.

        A file that already has this content is not written again.
        """
        return snapshots.take_snapshot(self._database, path)

    def list_snapshots(self) -> list[SavedSnapshot]:
        """List the snapshots of this store, the earliest first."""
        with self._database.read() as connection:
            return snapshots.list_saved(connection)

    def list_snapshots_with(self, annotator: str) -> list[SavedSnapshot]:
        """List the snapshots that hold judgements by an annotator."""
        with self._database.read() as connection:
            return snapshots.list_holding(connection, annotator)

    def count_unsaved(self) -> int:
        """Count the judgements that are in no snapshot yet."""
        with self._database.read() as connection:
            return snapshots.count_unsaved(connection)

    def find_missing(self, ids: Iterable[str]) -> Iterator[str]:
        """Yield those of the ids that the store does not have."""
        source = iter(ids)
        while chunk := list(islice(source, _CHUNK)):
            with self._database.read() as connection:
                query = select(judgement.c.id).where(judgement.c.id.in_(chunk), is_visible())
                stored_ids = set(connection.execute(query).scalars())
            yield from (id for id in chunk if id not in stored_ids)

    def read_snapshot_lines(self, number: int) -> Iterator[str]:
        """Yield the lines of an earlier snapshot, without judgements that were deleted since."""
        with self._database.read() as connection:
            yield from snapshots.read_lines(connection, number)

    def offer(
        self,
        concept: str,
        candidates: Sequence[Candidate],
        *,
        priority: Mapping[str, float] | None = None,
        random: frozenset[str] = frozenset(),
        only: bool = False,
    ) -> None:
        """Offer candidates to annotators, the highest `priority` first; the default priority is 0.

        `random` marks the unbiased sample. Pictures that were offered before keep their priority and mark unless new
        ones are given. A redrawn picture is offered anew: earlier answers, leases and skips were about another picture.
        With `only`, the concept's other pictures are withdrawn: nobody is asked about them, and they do not count in
        the progress, until they are offered again.
        """
        batches.delete_abandoned(self._database)  # otherwise a killed import's answers would still count for a picture
        assignment.offer_pictures(self._database, concept, candidates, priority or {}, random)
        if only:
            assignment.withdraw_others(self._database, concept, {candidate.id for candidate in candidates})

    def read_random_sample(self, concept: str) -> frozenset[str]:
        """Read the pictures that are marked as the unbiased sample."""
        with self._database.read() as connection:
            return assignment.read_random_sample(connection, concept)

    def assign(
        self, concept: str, annotator: str, *, count: int, judgements: int, lease: timedelta, now: datetime
    ) -> list[assignment.Assignment]:
        """Assign up to `count` pictures to an annotator until `now + lease`.

        The annotator's current leases come first and are prolonged. Pictures that the annotator has judged or skipped
        are never assigned, nor pictures that `judgements` others have judged or leased.
        """
        return self._database.write(
            lambda connection: assignment.assign(connection, concept, annotator, count, judgements, lease, now),
            latest=True,
        )

    def list_leased(self, concept: str, annotator: str, now: datetime) -> frozenset[str]:
        """List the pictures that an annotator has leased."""
        with self._database.read() as connection:
            return assignment.read_leased(connection, concept, annotator, now)

    def return_pictures(self, concept: str, annotator: str, pictures: Collection[str]) -> None:
        """Return pictures that an annotator has leased. They may be assigned to anyone, also to the same annotator."""
        self._database.write(lambda connection: assignment.return_leases(connection, concept, annotator, pictures))

    def skip(self, concept: str, annotator: str, picture: str) -> None:
        """Skip a picture: it is free for others, and this annotator never gets it again."""
        self._database.write(lambda connection: assignment.skip_picture(connection, concept, annotator, picture))

    def count_progress(self, concept: str, judgements: int) -> assignment.JudgingProgress:
        """Count how many of the offered pictures have `judgements` answers."""
        with self._database.read() as connection:
            return assignment.count_progress(connection, concept, judgements)

    def list_annotators(self, concept: str | None = None) -> list[str]:
        """List the pseudonyms of all annotators who have judged, or who have judged one concept."""
        with self._database.read() as connection:
            query = select(judgement.c.annotator).where(is_visible()).distinct().order_by(judgement.c.annotator)
            if concept is not None:
                query = query.where(judgement.c.concept == concept)
            return list(connection.execute(query).scalars())

    def forget(self, annotator: str, *, judgements: bool = False) -> int:
        """Delete an annotator's leases and, with `judgements`, their judgements. Return the number of those."""

        def work(connection: Connection) -> int:
            assignment.delete_leases(connection, annotator)
            if not judgements:
                return 0
            pictures = connection.execute(
                select(shown.c.concept, shown.c.picture).where(shown.c.annotator == annotator).distinct()
            ).all()
            connection.execute(delete(shown).where(shown.c.annotator == annotator))
            deleted = connection.execute(delete(judgement).where(judgement.c.annotator == annotator)).rowcount
            recount_pairs(connection, pictures)
            return deleted

        return self._database.write(work)
