"""A snapshot: all judgements as one canonical file, sorted by id. The same store gives the same bytes.

Which judgements a snapshot holds is marked in the store first and read then, so that what arrives meanwhile is in the
next one, and an earlier one can be read again by its digest.
"""

import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.tables import batch, judgement, snapshot
from hfi_core.io.atomic import atomic_file, disk_full_as_user_error
from hfi_core.io.hashing import sha256_of_file

_SLICE = 1000


@dataclass(frozen=True)
class Snapshot:
    """A snapshot's digest and size."""

    sha256: str
    judgements: int
    written: bool = True
    """False where the file was there already, byte for byte."""


@dataclass(frozen=True)
class SavedSnapshot:
    """A snapshot that was taken earlier."""

    number: int
    sha256: str
    judgements: int
    taken: float
    """Seconds since 1970."""


def take_snapshot(database: Database, path: Path) -> Snapshot:
    """Write the snapshot; see `Store.snapshot`."""
    number = database.write(_begin)
    while database.write(lambda connection: _mark_slice(connection, number)):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_full_as_user_error(path), TemporaryFile(dir=path.parent) as draft:
        with database.read() as connection:
            digest, count = _write(read_lines(connection, number), draft)
        database.write(lambda connection: _keep(connection, number, digest, count))
        if path.is_file() and sha256_of_file(path) == digest:
            return Snapshot(digest, count, written=False)
        draft.seek(0)
        with atomic_file(path) as beside, beside.open("wb") as stream:
            shutil.copyfileobj(draft, stream)
    return Snapshot(digest, count)


def _begin(connection: Connection) -> int:
    row = {"sha256": None, "judgements": 0, "taken": time.time()}
    number = connection.execute(insert(snapshot).values(row).returning(snapshot.c.number)).scalar_one()
    connection.execute(update(batch).where(batch.c.visible, batch.c.snapshot.is_(None)).values(snapshot=number))
    return number


def _mark_slice(connection: Connection, number: int) -> bool:
    fresh = (judgement.c.batch.is_(None), judgement.c.snapshot.is_(None))
    ids = connection.execute(select(judgement.c.id).where(*fresh).limit(_SLICE)).scalars().all()
    connection.execute(update(judgement).where(judgement.c.id.in_(ids), *fresh).values(snapshot=number))
    return len(ids) == _SLICE


def _held(number: int) -> ColumnElement[bool]:
    imports = select(batch.c.id).where(batch.c.visible, batch.c.snapshot <= number)
    alone = and_(judgement.c.batch.is_(None), judgement.c.snapshot <= number)
    return or_(alone, judgement.c.batch.in_(imports))


def read_lines(connection: Connection, number: int) -> Iterator[str]:
    """The snapshot's lines in order, in constant memory."""
    query = select(judgement.c.content).where(_held(number)).order_by(judgement.c.id)
    yield from connection.execution_options(yield_per=_SLICE).execute(query).scalars()


def _write(content: Iterator[str], stream: BinaryIO) -> tuple[str, int]:
    digest, count = hashlib.sha256(), 0
    for line in content:
        raw = f"{line}\n".encode()
        digest.update(raw)
        stream.write(raw)
        count += 1
    return digest.hexdigest(), count


def _keep(connection: Connection, number: int, digest: str, count: int) -> None:
    """Keep the digest; a snapshot that says what the last one said is none."""
    earlier = select(snapshot.c.sha256).where(snapshot.c.sha256.is_not(None), snapshot.c.number < number)
    if connection.execute(earlier.order_by(snapshot.c.number.desc()).limit(1)).scalar_one_or_none() == digest:
        connection.execute(delete(snapshot).where(snapshot.c.number == number))
    else:
        these = snapshot.c.number == number
        connection.execute(update(snapshot).where(these).values(sha256=digest, judgements=count))


def count_unsaved(connection: Connection) -> int:
    """How many judgements no snapshot holds."""
    fresh = judgement.c.batch.is_(None) & judgement.c.snapshot.is_(None)
    imports = select(batch.c.id).where(batch.c.visible, batch.c.snapshot.is_(None))
    query = select(func.count()).select_from(judgement).where(or_(fresh, judgement.c.batch.in_(imports)))
    return connection.execute(query).scalar_one()


def list_saved(connection: Connection) -> list[SavedSnapshot]:
    """The snapshots that were taken and differ from the one before, in order."""
    query = select(snapshot).where(snapshot.c.sha256.is_not(None)).order_by(snapshot.c.number)
    return [SavedSnapshot(row.number, row.sha256, row.judgements, row.taken) for row in connection.execute(query)]


def list_holding(connection: Connection, annotator: str) -> list[SavedSnapshot]:
    """The snapshots that hold a judgement by an annotator."""
    alone = select(func.min(judgement.c.snapshot)).where(
        judgement.c.annotator == annotator, judgement.c.batch.is_(None)
    )
    imported = (
        select(func.min(batch.c.snapshot))
        .join(judgement, judgement.c.batch == batch.c.id)
        .where(judgement.c.annotator == annotator, batch.c.visible)
    )
    firsts = [found for query in (alone, imported) if (found := connection.execute(query).scalar_one()) is not None]
    return [one for one in list_saved(connection) if firsts and one.number >= min(firsts)]
