"""Offer pictures, and assign them to annotators by leases that expire, so that a closed browser blocks none.

A picture is assigned to as many annotators as it still needs judgements. Nobody gets a picture twice. Concurrent
assignments wait for each other: on SQLite as all writers do, on PostgreSQL per concept.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from sqlalchemy import ColumnElement, Connection, Row, Update, delete, exists, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.queries import count_answers_on_offered, is_about_offered, is_visible, recount
from hfi_core.feedback.store.tables import judgement, lease, offer, shown

_SLICE = 500


@dataclass(frozen=True)
class Assignment:
    """A picture that an annotator shall judge, and when its lease expires."""

    concept: str
    picture: str
    sha256: str
    expires_at: datetime


@dataclass(frozen=True)
class JudgingProgress:
    """Progress of judging a concept."""

    pictures: int
    done: int
    """Pictures with all required answers."""
    asked: int
    """Answers required in total."""
    answered: int
    """Of those, the answers that were given. More answers on a picture than required do not count."""
    annotators: int


def _insert_or_update(connection: Connection, table):
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def offer_pictures(
    database: Database,
    concept: str,
    candidates: Sequence[Candidate],
    priority: Mapping[str, float],
    random: frozenset[str],
) -> None:
    """Offer pictures, in slices; see `Store.offer`."""
    for chunk in _slices(candidates):
        database.write(partial(_offer_slice, concept=concept, chunk=chunk, priority=priority, random=random))


def withdraw_others(database: Database, concept: str, pictures: Collection[str]) -> None:
    """Withdraw a concept's offered pictures except `pictures`, in slices. They keep their priority and mark."""
    with database.read() as connection:
        query = select(offer.c.picture).where(offer.c.concept == concept, offer.c.askable)
        others = sorted(set(connection.execute(query).scalars()) - set(pictures))
    for start in range(0, len(others), _SLICE):
        selection = (offer.c.concept == concept, offer.c.picture.in_(others[start : start + _SLICE]))
        database.write(partial(_execute, statement=update(offer).where(*selection).values(askable=False)))


def _slices(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    source = iter(candidates)
    while chunk := list(islice(source, _SLICE)):
        yield chunk


def _execute(connection: Connection, statement: Update) -> None:
    connection.execute(statement)


def _offer_slice(
    connection: Connection,
    concept: str,
    chunk: list[Candidate],
    priority: Mapping[str, float],
    random: frozenset[str],
) -> None:
    pictures = [candidate.id for candidate in chunk]
    query = select(offer).where(offer.c.concept == concept, offer.c.picture.in_(pictures))
    offered = {row.picture: row for row in connection.execute(query)}
    rows, new_pictures, redrawn = [], [], []
    for candidate in chunk:
        previous = offered.get(candidate.id)
        row = {
            "concept": concept,
            "picture": candidate.id,
            "sha256": candidate.sha256,
            "priority": float(priority.get(candidate.id, previous.priority if previous else 0.0)),
            "random": candidate.id in random or bool(previous and previous.random),
            "askable": True,
        }
        if previous is None:
            new_pictures.append(candidate.id)
        elif previous.sha256 != candidate.sha256:
            redrawn.append(candidate.id)
        if previous is None or any(getattr(previous, key) != value for key, value in row.items()):
            rows.append(row | {"answers": 0})
    if not rows:
        return
    insert = _insert_or_update(connection, offer)
    changed = {key: insert.excluded[key] for key in ("sha256", "priority", "random", "askable")}
    connection.execute(insert.on_conflict_do_update(index_elements=["concept", "picture"], set_=changed), rows)
    if redrawn:  # whoever has or skipped it was shown the earlier picture
        connection.execute(delete(lease).where(lease.c.concept == concept, lease.c.picture.in_(redrawn)))
    if new_pictures or redrawn:
        recount(connection, concept, new_pictures + redrawn)


def assign(
    connection: Connection,
    concept: str,
    annotator: str,
    count: int,
    judgements: int,
    lease_for: timedelta,
    now: datetime,
) -> list[Assignment]:
    """Assign pictures to an annotator, in a writing transaction; see `Store.assign`."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:concept, 0))"), {"concept": concept})
    now_seconds, expires = now.timestamp(), (now + lease_for).timestamp()
    rows = _current_leases(connection, concept, annotator, now_seconds)[:count]
    if len(rows) < count:
        rows += connection.execute(
            _select_free_pictures(concept, annotator, judgements, now_seconds).limit(count - len(rows))
        ).all()
    if rows:
        insert = _insert_or_update(connection, lease)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["concept", "picture", "annotator"], set_={"expires": insert.excluded.expires}
            ),
            [{"concept": concept, "picture": row.picture, "annotator": annotator, "expires": expires} for row in rows],
        )
    return [Assignment(concept, row.picture, row.sha256, datetime.fromtimestamp(expires, UTC)) for row in rows]


def _current_leases(connection: Connection, concept: str, annotator: str, now_seconds: float) -> list[Row]:
    """Read the pictures that an annotator has leased.

    In two queries and sorted in Python, because SQLite would otherwise scan all offered pictures.
    """
    of_annotator = (lease.c.annotator == annotator, lease.c.concept == concept, lease.c.expires > now_seconds)
    pictures = connection.execute(select(lease.c.picture).where(*of_annotator)).scalars().all()
    columns = (offer.c.picture, offer.c.sha256, offer.c.priority)
    query = select(*columns).where(offer.c.concept == concept, offer.c.picture.in_(pictures), offer.c.askable)
    query = query.where(~_judged_by(annotator))  # an import may have brought the judgement meanwhile
    return sorted(connection.execute(query), key=lambda row: (-row.priority, row.picture)) if pictures else []


def _select_free_pictures(concept: str, annotator: str, judgements: int, now_seconds: float):
    """Select the pictures that an annotator may get. `offer.answers` excludes finished ones by an index."""
    others = lease.alias("others")
    lease_of_annotator = (
        lease.c.concept == concept,
        lease.c.picture == offer.c.picture,
        lease.c.annotator == annotator,
    )
    leased = (
        select(func.count())
        .where(others.c.concept == concept, others.c.picture == offer.c.picture, others.c.annotator != annotator)
        .where(others.c.expires > now_seconds)
        .scalar_subquery()
    )
    return (
        select(offer.c.picture, offer.c.sha256)
        .where(offer.c.concept == concept, offer.c.askable, offer.c.answers < judgements)
        .where(~exists().where(*lease_of_annotator, or_(lease.c.expires.is_(None), lease.c.expires > now_seconds)))
        .where(~_judged_by(annotator))
        .where(leased + count_answers_on_offered(is_visible()) < judgements)
        .order_by(offer.c.priority.desc(), offer.c.picture)
    )


def _judged_by(annotator: str) -> ColumnElement[bool]:
    """Select whether an annotator has judged the offered picture."""
    return exists().where(
        is_about_offered(), shown.c.annotator == annotator, shown.c.judgement == judgement.c.id, is_visible()
    )


def read_leased(connection: Connection, concept: str, annotator: str, now: datetime) -> frozenset[str]:
    """Read the pictures that an annotator has leased."""
    of_annotator = (lease.c.annotator == annotator, lease.c.concept == concept, lease.c.expires > now.timestamp())
    return frozenset(connection.execute(select(lease.c.picture).where(*of_annotator)).scalars())


def return_leases(connection: Connection, concept: str, annotator: str, pictures: Collection[str]) -> None:
    """Delete an annotator's leases of some pictures. Skipped pictures stay skipped."""
    of_annotator = (lease.c.annotator == annotator, lease.c.concept == concept, lease.c.expires.is_not(None))
    connection.execute(delete(lease).where(*of_annotator, lease.c.picture.in_(sorted(pictures))))


def skip_picture(connection: Connection, concept: str, annotator: str, picture: str) -> None:
    """Record that an annotator skipped a picture."""
    row = {"concept": concept, "picture": picture, "annotator": annotator, "expires": None}
    insert = _insert_or_update(connection, lease)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["concept", "picture", "annotator"], set_={"expires": None}), [row]
    )


def count_progress(connection: Connection, concept: str, judgements: int) -> JudgingProgress:
    """Count a concept's progress; see `Store.count_progress`."""
    is_done = offer.c.answers >= judgements
    pictures, done, answers_on_unfinished = connection.execute(
        select(
            func.count(),
            func.count().filter(is_done),
            func.coalesce(func.sum(offer.c.answers).filter(~is_done), 0),
        ).where(offer.c.concept == concept, offer.c.askable)
    ).one()
    annotators = connection.execute(
        select(func.count(judgement.c.annotator.distinct())).where(judgement.c.concept == concept, is_visible())
    ).scalar_one()
    return JudgingProgress(
        pictures, done, pictures * judgements, done * judgements + int(answers_on_unfinished), annotators
    )


def delete_leases(connection: Connection, annotator: str) -> None:
    """Delete an annotator's leases and skips."""
    connection.execute(delete(lease).where(lease.c.annotator == annotator))


def read_random_sample(connection: Connection, concept: str) -> frozenset[str]:
    """Read the pictures that are marked as the unbiased sample."""
    query = select(offer.c.picture).where(offer.c.concept == concept, offer.c.random)
    return frozenset(connection.execute(query).scalars())
