"""An import: judgements are staged in slices, so that nobody waits long, and count all at once at the end.

Whoever is killed half-way leaves rows that never count; the next import clears them away. The same batch key again
changes nothing.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from hfi_core.feedback.schema import Judgement
from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.entry import Entry, make_entry
from hfi_core.feedback.store.insert import Conflict, insert_judgements, make_superseding_conflict
from hfi_core.feedback.store.queries import is_visible, recount_shown
from hfi_core.feedback.store.tables import batch, judgement, shown

SLICE = 500
"""Judgements a transaction: some thirty milliseconds, after which others have their turn."""
_SHARE = 0.8
"""Of the time, the most that an import holds up other writers."""
_LONGEST_PAUSE = 0.05
_SILENT_SECONDS = 600.0
"""An import that has done nothing for so long was killed."""


@dataclass(frozen=True)
class ImportedBatch:
    """What an import brought."""

    new: int
    known: int
    """Judgements that had been there before."""


def add_batch(database: Database, key: str, judgements: Iterable[Judgement], source: str) -> ImportedBatch:
    """Take in all judgements or, with a Conflict, none; see `Store.add_batch`."""
    delete_abandoned(database)
    with database.read() as connection:
        done = connection.execute(select(batch.c.rows).where(batch.c.key == key, batch.c.visible)).scalar_one_or_none()
    if done is not None:
        return ImportedBatch(0, done)
    mine = database.write(lambda connection: _begin(connection, key, source))
    try:
        total = _stage(database, mine, judgements)
        _require_superseded(database, mine)
        _count(database, mine)
        new = database.write(lambda connection: _show(connection, mine, total))
    except BaseException:
        database.write(lambda connection: _abandon(connection, mine))
        delete_abandoned(database)
        raise
    return ImportedBatch(new, total - new)


def _begin(connection: Connection, key: str, source: str) -> int:
    """A new attempt; an earlier one of the same key, still under way or killed, gives way."""
    connection.execute(update(batch).where(batch.c.key == key, ~batch.c.visible).values(key=None, counted=False))
    row = {"key": key, "source": source, "alive": time.time(), "visible": False, "counted": False, "rows": 0}
    return connection.execute(insert(batch).values(row).returning(batch.c.id)).scalar_one()


def _abandon(connection: Connection, mine: int) -> None:
    connection.execute(update(batch).where(batch.c.id == mine, ~batch.c.visible).values(key=None, counted=False))


def _stage(database: Database, mine: int, judgements: Iterable[Judgement]) -> int:
    total, source = 0, iter(judgements)
    while piece := [make_entry(one) for one in islice(source, SLICE)]:
        began = time.monotonic()
        database.write(lambda connection, piece=piece: _stage_slice(connection, mine, piece))
        total += len(piece)
        _let_others(began)
    return total


def _let_others(began: float) -> None:
    time.sleep(min(_LONGEST_PAUSE, (time.monotonic() - began) * (1 - _SHARE) / _SHARE))


def _stage_slice(connection: Connection, mine: int, piece: list[Entry]) -> None:
    _require_mine(connection, mine)
    insert_judgements(connection, piece, mine)


def _require_mine(connection: Connection, mine: int) -> None:
    these = (batch.c.id == mine, batch.c.key.is_not(None))
    if not connection.execute(update(batch).where(*these).values(alive=time.time())).rowcount:
        raise Conflict(
            "The import was ended: somebody else brought some of the same judgements meanwhile. Nothing of it counts; "
            "run it again.",
            "",
        )


def _require_superseded(database: Database, mine: int) -> None:
    """Every correction leads, through corrections of the same question, to a judgement that began it."""
    with database.read() as connection:
        target = judgement.alias("target")
        stray = connection.execute(
            select(judgement.c.id, judgement.c.supersedes)
            .outerjoin(target, target.c.id == judgement.c.supersedes)
            .where(judgement.c.batch == mine, judgement.c.supersedes.is_not(None))
            .where(
                target.c.id.is_(None)
                | (target.c.question != judgement.c.question)
                | ~(is_visible(target) | (target.c.batch == mine))
            )
            .order_by(judgement.c.id)
            .limit(1)
        ).one_or_none()
        if stray:
            raise make_superseding_conflict(*stray)
        circle = connection.execute(_in_a_circle(mine)).one_or_none()
        if circle:
            raise make_superseding_conflict(*circle)


def _in_a_circle(mine: int):
    theirs = judgement.alias("theirs")
    begins = (
        select(judgement.c.id)
        .outerjoin(theirs, (theirs.c.id == judgement.c.supersedes) & (theirs.c.batch == mine))
        .where(judgement.c.batch == mine, judgement.c.supersedes.is_not(None))
        .where(theirs.c.id.is_(None) | theirs.c.supersedes.is_(None))
        .cte("resting", recursive=True)
    )
    later = judgement.alias("later")
    resting = begins.union(
        select(later.c.id).join(begins, later.c.supersedes == begins.c.id).where(later.c.batch == mine)
    )
    return (
        select(judgement.c.id, judgement.c.supersedes)
        .where(judgement.c.batch == mine, judgement.c.supersedes.is_not(None))
        .where(judgement.c.id.not_in(select(resting.c.id)))
        .order_by(judgement.c.id)
        .limit(1)
    )


def _show(connection: Connection, mine: int, total: int) -> int:
    _require_mine(connection, mine)
    new = connection.execute(select(func.count()).where(judgement.c.batch == mine)).scalar_one()
    connection.execute(update(batch).where(batch.c.id == mine).values(visible=True, rows=total))
    return new


def _count(database: Database, mine: int) -> None:
    """Count the answers into `offer.answers`, in slices, before they are visible: nobody is asked for what is here."""
    database.write(lambda connection: connection.execute(update(batch).where(batch.c.id == mine).values(counted=True)))
    of_mine = select(judgement.c.id).where(judgement.c.batch == mine)
    with database.read() as connection:
        for pictures in connection.execution_options(yield_per=SLICE).execute(_shown_by(of_mine)).partitions():
            began = time.monotonic()
            database.write(lambda writing, pictures=pictures: _count_slice(writing, mine, pictures))
            _let_others(began)


def _count_slice(connection: Connection, mine: int, pictures: Sequence[Row]) -> None:
    _require_mine(connection, mine)
    recount_shown(connection, pictures)


def _shown_by(ids: Sequence[str] | Select[tuple[str]]) -> Select:
    return select(shown.c.concept, shown.c.picture).where(shown.c.judgement.in_(ids)).distinct()


def delete_abandoned(database: Database) -> None:
    """Take out what imports left that were refused or killed, in slices."""
    quiet = time.time() - _SILENT_SECONDS
    with database.read() as connection:
        killed = connection.execute(select(batch.c.id).where(~batch.c.visible, batch.c.alive < quiet)).scalars().all()
        ended = connection.execute(select(batch.c.id).where(batch.c.key.is_(None))).scalars().all()
    for one in killed:
        database.write(lambda connection, one=one: _abandon(connection, one))
    for one in {*killed, *ended}:
        more = True
        while more:
            began = time.monotonic()
            more = database.write(lambda connection, one=one: _clear_slice(connection, one))
            _let_others(began)


def _clear_slice(connection: Connection, ended: int) -> bool:
    """Take out a slice, and the batch's own row after the last; whether more may be left."""
    ids = connection.execute(select(judgement.c.id).where(judgement.c.batch == ended).limit(SLICE)).scalars().all()
    if ids:
        touched = connection.execute(_shown_by(ids)).all()
        connection.execute(delete(shown).where(shown.c.judgement.in_(ids)))
        connection.execute(delete(judgement).where(judgement.c.id.in_(ids)))
        recount_shown(connection, touched)
        return True
    connection.execute(delete(batch).where(batch.c.id == ended, batch.c.key.is_(None)))
    return False
