"""Which pictures may be asked about, and who is given which: by lease, so that nobody's closed browser keeps one.

A picture is given to as many annotators as judgements are wanted of it, less those who have answered; nobody gets one
twice. On SQLite the writers queue; on PostgreSQL those who are given pictures of one concept do.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.store.database import Database
from hfi_core.feedback.store.queries import count_answers_on_offered, is_about_offered, is_visible, recount
from hfi_core.feedback.store.tables import judgement, lease, offer, shown

_SLICE = 500


@dataclass(frozen=True)
class Assignment:
    """A picture that an annotator is to judge, and until when it is kept for them."""

    concept: str
    picture: str
    sha256: str
    expires_at: datetime


@dataclass(frozen=True)
class JudgingProgress:
    """How far a concept is."""

    pictures: int
    done: int
    """Pictures with as many answers as are wanted."""
    asked: int
    """Answers wanted in all."""
    answered: int
    """Of those, the answers that are there; what goes beyond on a picture is not counted."""
    annotators: int


def _upsert(connection: Connection, table):
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def offer_pictures(
    database: Database,
    concept: str,
    candidates: Sequence[Candidate],
    priority: Mapping[str, float],
    random: frozenset[str],
) -> None:
    """Add pictures, in slices; see `Store.offer`."""
    for piece in _slices(candidates):
        database.write(lambda connection, piece=piece: _offer_slice(connection, concept, piece, priority, random))


def withdraw_others(database: Database, concept: str, pictures: Collection[str]) -> None:
    """Ask about nothing of a concept but `pictures`, in slices; what is withdrawn keeps its priority and its mark."""
    with database.read() as connection:
        query = select(offer.c.picture).where(offer.c.concept == concept, offer.c.askable)
        others = sorted(set(connection.execute(query).scalars()) - set(pictures))
    for start in range(0, len(others), _SLICE):
        these = (offer.c.concept == concept, offer.c.picture.in_(others[start : start + _SLICE]))
        database.write(
            lambda connection, these=these: connection.execute(update(offer).where(*these).values(askable=False))
        )


def _slices(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    source = iter(candidates)
    while piece := list(islice(source, _SLICE)):
        yield piece


def _offer_slice(
    connection: Connection,
    concept: str,
    piece: list[Candidate],
    priority: Mapping[str, float],
    random: frozenset[str],
) -> None:
    names = [candidate.id for candidate in piece]
    query = select(offer).where(offer.c.concept == concept, offer.c.picture.in_(names))
    there = {row.picture: row for row in connection.execute(query)}
    rows, fresh, redrawn = [], [], []
    for candidate in piece:
        old = there.get(candidate.id)
        row = {
            "concept": concept,
            "picture": candidate.id,
            "sha256": candidate.sha256,
            "priority": float(priority.get(candidate.id, old.priority if old else 0.0)),
            "random": candidate.id in random or bool(old and old.random),
            "askable": True,
        }
        if old is None:
            fresh.append(candidate.id)
        elif old.sha256 != candidate.sha256:
            redrawn.append(candidate.id)
        if old is None or any(getattr(old, key) != value for key, value in row.items()):
            rows.append(row | {"answers": 0})
    if not rows:
        return
    insert = _upsert(connection, offer)
    changed = {key: insert.excluded[key] for key in ("sha256", "priority", "random", "askable")}
    connection.execute(insert.on_conflict_do_update(index_elements=["concept", "picture"], set_=changed), rows)
    if redrawn:  # who has it, or skipped it, was shown another picture
        connection.execute(delete(lease).where(lease.c.concept == concept, lease.c.picture.in_(redrawn)))
    if fresh or redrawn:
        recount(connection, concept, fresh + redrawn)


def assign(
    connection: Connection,
    concept: str,
    annotator: str,
    count: int,
    judgements: int,
    lease_for: timedelta,
    now: datetime,
) -> list[Assignment]:
    """Give pictures to an annotator, in a transaction that writes; see `Store.assign`."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:concept, 0))"), {"concept": concept})
    at, until = now.timestamp(), (now + lease_for).timestamp()
    rows = _kept(connection, concept, annotator, at)[:count]
    if len(rows) < count:
        rows += connection.execute(_free(concept, annotator, judgements, at).limit(count - len(rows))).all()
    if rows:
        insert = _upsert(connection, lease)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["concept", "picture", "annotator"], set_={"expires": insert.excluded.expires}
            ),
            [{"concept": concept, "picture": row.picture, "annotator": annotator, "expires": until} for row in rows],
        )
    return [Assignment(concept, row.picture, row.sha256, datetime.fromtimestamp(until, UTC)) for row in rows]


def _kept(connection: Connection, concept: str, annotator: str, at: float) -> list[Row]:
    """The annotator's own leases. Joined, or sorted by the database, SQLite would walk along all that is offered."""
    theirs = (lease.c.annotator == annotator, lease.c.concept == concept, lease.c.expires > at)
    names = connection.execute(select(lease.c.picture).where(*theirs)).scalars().all()
    columns = (offer.c.picture, offer.c.sha256, offer.c.priority)
    query = select(*columns).where(offer.c.concept == concept, offer.c.picture.in_(names), offer.c.askable)
    query = query.where(~_judged_by(annotator))  # by an import meanwhile
    return sorted(connection.execute(query), key=lambda row: (-row.priority, row.picture)) if names else []


def _free(concept: str, annotator: str, judgements: int, at: float):
    """Pictures that the annotator may get; `offer.answers` sorts out what is done, without looking at each."""
    others = lease.alias("others")
    here = (lease.c.concept == concept, lease.c.picture == offer.c.picture, lease.c.annotator == annotator)
    leased = (
        select(func.count())
        .where(others.c.concept == concept, others.c.picture == offer.c.picture, others.c.annotator != annotator)
        .where(others.c.expires > at)
        .scalar_subquery()
    )
    return (
        select(offer.c.picture, offer.c.sha256)
        .where(offer.c.concept == concept, offer.c.askable, offer.c.answers < judgements)
        .where(~exists().where(*here, or_(lease.c.expires.is_(None), lease.c.expires > at)))
        .where(~_judged_by(annotator))
        .where(leased + count_answers_on_offered(is_visible()) < judgements)
        .order_by(offer.c.priority.desc(), offer.c.picture)
    )


def _judged_by(annotator: str) -> ColumnElement[bool]:
    """Whether the annotator has answered about the picture that is offered."""
    return exists().where(
        is_about_offered(), shown.c.annotator == annotator, shown.c.judgement == judgement.c.id, is_visible()
    )


def read_leased(connection: Connection, concept: str, annotator: str, now: datetime) -> frozenset[str]:
    """The pictures that are kept for an annotator."""
    theirs = (lease.c.annotator == annotator, lease.c.concept == concept, lease.c.expires > now.timestamp())
    return frozenset(connection.execute(select(lease.c.picture).where(*theirs)).scalars())


def return_leases(connection: Connection, concept: str, annotator: str, pictures: Collection[str]) -> None:
    """Keep pictures for an annotator no longer; what was skipped stays so."""
    theirs = (lease.c.annotator == annotator, lease.c.concept == concept, lease.c.expires.is_not(None))
    connection.execute(delete(lease).where(*theirs, lease.c.picture.in_(sorted(pictures))))


def skip_picture(connection: Connection, concept: str, annotator: str, picture: str) -> None:
    """Mark a picture as skipped by an annotator."""
    row = {"concept": concept, "picture": picture, "annotator": annotator, "expires": None}
    insert = _upsert(connection, lease)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["concept", "picture", "annotator"], set_={"expires": None}), [row]
    )


def count_progress(connection: Connection, concept: str, judgements: int) -> JudgingProgress:
    """How far a concept is; see `Store.progress`."""
    enough = offer.c.answers >= judgements
    pictures, done, short = connection.execute(
        select(
            func.count(),
            func.count().filter(enough),
            func.coalesce(func.sum(offer.c.answers).filter(~enough), 0),
        ).where(offer.c.concept == concept, offer.c.askable)
    ).one()
    annotators = connection.execute(
        select(func.count(judgement.c.annotator.distinct())).where(judgement.c.concept == concept, is_visible())
    ).scalar_one()
    return JudgingProgress(pictures, done, pictures * judgements, done * judgements + int(short), annotators)


def delete_leases(connection: Connection, annotator: str) -> None:
    """Drop an annotator's leases and skips."""
    connection.execute(delete(lease).where(lease.c.annotator == annotator))


def read_random_sample(connection: Connection, concept: str) -> frozenset[str]:
    """The pictures that are marked as the unbiased sample."""
    query = select(offer.c.picture).where(offer.c.concept == concept, offer.c.random)
    return frozenset(connection.execute(query).scalars())
