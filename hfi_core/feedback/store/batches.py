"""Add a batch of judgements: insert them in slices, so that no writer waits long, and let all count at once at the end.

An import that is killed leaves rows that never count; the next import deletes them. Repeating a batch key changes
nothing.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from hfi_core.feedback.schema import Judgement
from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.entry import Entry, make_entry
from hfi_core.feedback.store.insert import Conflict, insert_judgements, make_superseding_conflict
from hfi_core.feedback.store.queries import is_visible, recount_pairs
from hfi_core.feedback.store.tables import batch, judgement, shown

SLICE_SIZE = 500
"""Judgements per transaction. One takes about 30 ms, after which other writers may continue."""
_MAX_BUSY_SHARE = 0.8
"""Maximum share of the time in which an import blocks other writers."""
_LONGEST_PAUSE = 0.05
_MAX_SILENT_SECONDS = 600.0
"""An import without activity for longer was killed."""


@dataclass(frozen=True)
class ImportedBatch:
    """Counts of an imported batch."""

    new: int
    known: int
    """Judgements that were already in the store."""


def add_batch(database: Database, key: str, judgements: Iterable[Judgement], source: str) -> ImportedBatch:
    """Add all judgements or, with a Conflict, none; see `Store.add_batch`."""
    delete_abandoned(database)
    with database.read() as connection:
        earlier = select(batch.c.rows).where(batch.c.key == key, batch.c.visible)
        known = connection.execute(earlier).scalar_one_or_none()
    if known is not None:
        return ImportedBatch(0, known)
    batch_id = database.write(lambda connection: _begin(connection, key, source))
    try:
        total = _stage(database, batch_id, judgements)
        _require_superseded(database, batch_id)
        _count_answers(database, batch_id)
        new = database.write(lambda connection: _make_visible(connection, batch_id, total))
    except BaseException:
        database.write(lambda connection: _abandon(connection, batch_id))
        delete_abandoned(database)
        raise
    return ImportedBatch(new, total - new)


def has_batch(database: Database, key: str) -> bool:
    """Return whether a batch with this key was added completely."""
    with database.read() as connection:
        query = select(batch.c.id).where(batch.c.key == key, batch.c.visible)
        return connection.execute(query).scalar_one_or_none() is not None


def _begin(connection: Connection, key: str, source: str) -> int:
    """Insert the batch. An earlier one with the same key that is not complete is abandoned."""
    connection.execute(update(batch).where(batch.c.key == key, ~batch.c.visible).values(key=None, counted=False))
    row = {"key": key, "source": source, "alive": time.time(), "visible": False, "counted": False, "rows": 0}
    return connection.execute(insert(batch).values(row).returning(batch.c.id)).scalar_one()


def _abandon(connection: Connection, batch_id: int) -> None:
    connection.execute(update(batch).where(batch.c.id == batch_id, ~batch.c.visible).values(key=None, counted=False))


def _stage(database: Database, batch_id: int, judgements: Iterable[Judgement]) -> int:
    total, source = 0, iter(judgements)
    while chunk := [make_entry(judgement) for judgement in islice(source, SLICE_SIZE)]:
        start = time.monotonic()
        database.write(partial(_stage_slice, batch_id=batch_id, chunk=chunk))
        total += len(chunk)
        _pause_for_others(start)
    return total


def _pause_for_others(start: float) -> None:
    time.sleep(min(_LONGEST_PAUSE, (time.monotonic() - start) * (1 - _MAX_BUSY_SHARE) / _MAX_BUSY_SHARE))


def _stage_slice(connection: Connection, batch_id: int, chunk: list[Entry]) -> None:
    _require_not_abandoned(connection, batch_id)
    insert_judgements(connection, chunk, batch_id)


def _require_not_abandoned(connection: Connection, batch_id: int) -> None:
    is_active = (batch.c.id == batch_id, batch.c.key.is_not(None))
    if not connection.execute(update(batch).where(*is_active).values(alive=time.time())).rowcount:
        raise Conflict(
            "The import was abandoned: another one added some of the same judgements meanwhile. None of its judgements "
            "count. To fix this: run it again.",
            "",
        )


def _require_superseded(database: Database, batch_id: int) -> None:
    """Raise Conflict unless every correction leads, through corrections of its question, to a first answer."""
    with database.read() as connection:
        target = judgement.alias("target")
        stray = connection.execute(
            select(judgement.c.id, judgement.c.supersedes)
            .outerjoin(target, target.c.id == judgement.c.supersedes)
            .where(judgement.c.batch == batch_id, judgement.c.supersedes.is_not(None))
            .where(
                target.c.id.is_(None)
                | (target.c.question != judgement.c.question)
                | ~(is_visible(target) | (target.c.batch == batch_id))
            )
            .order_by(judgement.c.id)
            .limit(1)
        ).one_or_none()
        if stray:
            raise make_superseding_conflict(*stray)
        cycle = connection.execute(_select_cycle(batch_id)).one_or_none()
        if cycle:
            raise make_superseding_conflict(*cycle)


def _select_cycle(batch_id: int):
    target = judgement.alias("target")
    first_reached = (
        select(judgement.c.id)
        .outerjoin(target, (target.c.id == judgement.c.supersedes) & (target.c.batch == batch_id))
        .where(judgement.c.batch == batch_id, judgement.c.supersedes.is_not(None))
        .where(target.c.id.is_(None) | target.c.supersedes.is_(None))
        .cte("reached", recursive=True)
    )
    later = judgement.alias("later")
    reached = first_reached.union(
        select(later.c.id)
        .join(first_reached, later.c.supersedes == first_reached.c.id)
        .where(later.c.batch == batch_id)
    )
    return (
        select(judgement.c.id, judgement.c.supersedes)
        .where(judgement.c.batch == batch_id, judgement.c.supersedes.is_not(None))
        .where(judgement.c.id.not_in(select(reached.c.id)))
        .order_by(judgement.c.id)
        .limit(1)
    )


def _make_visible(connection: Connection, batch_id: int, total: int) -> int:
    _require_not_abandoned(connection, batch_id)
    new = connection.execute(select(func.count()).where(judgement.c.batch == batch_id)).scalar_one()
    connection.execute(update(batch).where(batch.c.id == batch_id).values(visible=True, rows=total))
    return new


def _count_answers(database: Database, batch_id: int) -> None:
    """Count the answers into `offer.answers` before they are visible, so that no finished picture is assigned."""
    database.write(
        lambda connection: connection.execute(update(batch).where(batch.c.id == batch_id).values(counted=True))
    )
    query = _select_judged_pictures(select(judgement.c.id).where(judgement.c.batch == batch_id))
    with database.read() as connection:
        for pictures in connection.execution_options(yield_per=SLICE_SIZE).execute(query).partitions():
            start = time.monotonic()
            database.write(partial(_count_slice, batch_id=batch_id, pictures=pictures))
            _pause_for_others(start)


def _count_slice(connection: Connection, batch_id: int, pictures: Sequence[Row]) -> None:
    _require_not_abandoned(connection, batch_id)
    recount_pairs(connection, pictures)


def _select_judged_pictures(ids: Sequence[str] | Select[tuple[str]]) -> Select:
    return select(shown.c.concept, shown.c.picture).where(shown.c.judgement.in_(ids)).distinct()


def delete_abandoned(database: Database) -> None:
    """Delete the rows of imports that were rejected or killed, in slices."""
    inactive_since = time.time() - _MAX_SILENT_SECONDS
    with database.read() as connection:
        is_killed = (~batch.c.visible, batch.c.alive < inactive_since)
        killed = connection.execute(select(batch.c.id).where(*is_killed)).scalars().all()
        ended = connection.execute(select(batch.c.id).where(batch.c.key.is_(None))).scalars().all()
    for id in killed:
        database.write(partial(_abandon, batch_id=id))
    for id in {*killed, *ended}:
        remaining = True
        while remaining:
            start = time.monotonic()
            remaining = database.write(partial(_delete_slice, ended=id))
            _pause_for_others(start)


def _delete_slice(connection: Connection, ended: int) -> bool:
    """Delete a slice, or the batch's own row if no judgement is left. Return whether more may be left."""
    ids = connection.execute(select(judgement.c.id).where(judgement.c.batch == ended).limit(SLICE_SIZE)).scalars().all()
    if ids:
        pictures_of_slice = connection.execute(_select_judged_pictures(ids)).all()
        connection.execute(delete(shown).where(shown.c.judgement.in_(ids)))
        connection.execute(delete(judgement).where(judgement.c.id.in_(ids)))
        recount_pairs(connection, pictures_of_slice)
        return True
    connection.execute(delete(batch).where(batch.c.id == ended, batch.c.key.is_(None)))
    return False
