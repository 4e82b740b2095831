"""The store as everybody uses it: the annotation page, the importers, the flow, the commands."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, delete, select

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.schema import Judgement, parse_judgement
from hfi_core.feedback.store import assignment, batches, snapshots
from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.entry import make_entry
from hfi_core.feedback.store.insert import insert_judgements
from hfi_core.feedback.store.migrate import migrate
from hfi_core.feedback.store.queries import is_counting, is_visible, recount, recount_shown, select_related
from hfi_core.feedback.store.snapshots import SavedSnapshot, Snapshot
from hfi_core.feedback.store.tables import judgement, shown

_SLICE = 1000


def open_store(url: str) -> "Store":
    """Open the store in `feedback.database_url`; it is made or migrated where needed.

    Raises UserError for a wrong URL, a server out of reach, a store of a newer version, a file that is no database.
    """
    database = Database(url)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


class Store:
    """Judgements, who is asked about which picture, and snapshots. Safe to use from several threads and processes.

    Every method raises UserError where the database cannot do what it should.
    """

    def __init__(self, database: Database):
        self._database = database

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def add(self, one: Judgement) -> bool:
        """Keep a judgement; it is durable on return. False if it was there already: its id is the idempotency key.

        Raises Conflict if the id stands for another judgement, if `supersedes` names none by the same annotator on
        the same question or one that is superseded already, or if the question was answered and `supersedes` is
        missing.
        """

        entry = make_entry(one)

        def work(connection: Connection) -> bool:
            new = insert_judgements(connection, [entry], None)
            if new and entry.supersedes is None:
                recount(connection, entry.concept, entry.seen)
            return bool(new)

        return self._database.write(work)

    def add_batch(self, batch_key: str, judgements: Iterable[Judgement], *, source: str) -> batches.ImportedBatch:
        """Keep all judgements or none: staged in slices while others go on, and counting all at once at the end.

        `batch_key` is a digest of what is imported: the same again changes nothing, without reading `judgements`.
        Raises Conflict as `add` does.
        """
        return batches.add_batch(self._database, batch_key, judgements, source)

    def judgements(
        self, concept: str | None = None, *, annotator: str | None = None, counting: bool = False
    ) -> Iterator[Judgement]:
        """Judgements sorted by id, in constant memory, of one moment; `counting` leaves out what was superseded."""
        query = select(judgement.c.content).where(is_counting() if counting else is_visible()).order_by(judgement.c.id)
        if concept is not None:
            query = query.where(judgement.c.concept == concept)
        if annotator is not None:
            query = query.where(judgement.c.annotator == annotator)
        with self._database.read() as connection:
            for line in connection.execution_options(yield_per=_SLICE).execute(query).scalars():
                yield parse_judgement(line)

    def touching(self, asked: Iterable[tuple[str, str]]) -> Iterator[Judgement]:
        """The judgements that have an id, or answer a question, of those `asked`, which are pairs of both.

        In constant memory and of one moment; one that several pairs touch may come several times.
        """
        source = iter(asked)
        with self._database.read() as connection:
            while piece := list(islice(source, _SLICE)):
                for line in connection.execute(select_related(*zip(*piece, strict=True))).scalars():
                    yield parse_judgement(line)

    def get(self, id: str) -> Judgement | None:
        """The judgement of an id."""
        with self._database.read() as connection:
            line = connection.execute(select(judgement.c.content).where(judgement.c.id == id, is_visible())).scalar()
        return None if line is None else parse_judgement(line)

    def snapshot(self, path: Path) -> Snapshot:
        """Write every judgement to a canonical feedback file, sorted by id; the same store gives the same bytes.

        A file that says the same already is left as it is.
        """
        return snapshots.take_snapshot(self._database, path)

    def snapshots(self) -> list[SavedSnapshot]:
        """The snapshots that were taken of this store, the earliest first."""
        with self._database.read() as connection:
            return snapshots.list_saved(connection)

    def snapshots_with(self, annotator: str) -> list[SavedSnapshot]:
        """The snapshots that hold judgements by an annotator."""
        with self._database.read() as connection:
            return snapshots.list_holding(connection, annotator)

    def unsaved(self) -> int:
        """How many judgements no snapshot holds yet."""
        with self._database.read() as connection:
            return snapshots.count_unsaved(connection)

    def missing(self, ids: Iterable[str]) -> Iterator[str]:
        """Those of the ids that the store has no judgement of."""
        source = iter(ids)
        while piece := list(islice(source, _SLICE)):
            with self._database.read() as connection:
                query = select(judgement.c.id).where(judgement.c.id.in_(piece), is_visible())
                there = set(connection.execute(query).scalars())
            yield from (id for id in piece if id not in there)

    def lines_of(self, number: int) -> Iterator[str]:
        """The lines of an earlier snapshot, but for what was forgotten since."""
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
        """Let candidates be asked about. The highest `priority` is asked first; 0 where none was ever given.

        `random` marks the unbiased sample. Pictures that are offered already keep the priority and the mark that
        they have, unless new ones are given. A redrawn one is asked about anew: what was answered, given or skipped
        was another picture. With `only`, the concept's other pictures are withdrawn: nobody is asked about them, and
        they are no part of the progress, until they are offered again.
        """
        batches.delete_abandoned(self._database)  # a killed import keeps no picture from being asked about
        assignment.offer_pictures(self._database, concept, candidates, priority or {}, random)
        if only:
            assignment.withdraw_others(self._database, concept, {candidate.id for candidate in candidates})

    def random_sample(self, concept: str) -> frozenset[str]:
        """The pictures that are marked as the unbiased sample."""
        with self._database.read() as connection:
            return assignment.read_random_sample(connection, concept)

    def assign(
        self, concept: str, annotator: str, *, count: int, judgements: int, lease: timedelta, now: datetime
    ) -> list[assignment.Assignment]:
        """Give an annotator up to `count` pictures, kept for them until `now + lease`.

        Their own pictures that have not run out come first, and are kept longer; never one that they have judged or
        skipped, nor one that `judgements` others have judged or been given.
        """
        return self._database.write(
            lambda connection: assignment.assign(connection, concept, annotator, count, judgements, lease, now),
            latest=True,
        )

    def leased(self, concept: str, annotator: str, now: datetime) -> frozenset[str]:
        """The pictures that are kept for an annotator."""
        with self._database.read() as connection:
            return assignment.read_leased(connection, concept, annotator, now)

    def give_back(self, concept: str, annotator: str, pictures: Collection[str]) -> None:
        """Keep pictures for an annotator no longer; they may be given to anybody, the same one too."""
        self._database.write(lambda connection: assignment.return_leases(connection, concept, annotator, pictures))

    def release(self, concept: str, annotator: str, picture: str) -> None:
        """Skip: the picture is free for others, and this annotator never gets it again."""
        self._database.write(lambda connection: assignment.skip_picture(connection, concept, annotator, picture))

    def progress(self, concept: str, judgements: int) -> assignment.JudgingProgress:
        """How many of the pictures that are offered have `judgements` answers."""
        with self._database.read() as connection:
            return assignment.count_progress(connection, concept, judgements)

    def annotators(self) -> list[str]:
        """The pseudonyms of all who have judged."""
        with self._database.read() as connection:
            query = select(judgement.c.annotator).where(is_visible()).distinct().order_by(judgement.c.annotator)
            return list(connection.execute(query).scalars())

    def forget(self, annotator: str, *, judgements: bool = False) -> int:
        """Drop what an annotator was given and, if asked, their judgements; how many judgements went."""

        def work(connection: Connection) -> int:
            assignment.delete_leases(connection, annotator)
            if not judgements:
                return 0
            theirs = connection.execute(
                select(shown.c.concept, shown.c.picture).where(shown.c.annotator == annotator).distinct()
            ).all()
            connection.execute(delete(shown).where(shown.c.annotator == annotator))
            gone = connection.execute(delete(judgement).where(judgement.c.annotator == annotator)).rowcount
            recount_shown(connection, theirs)
            return gone

        return self._database.write(work)
