"""Takes judgements into the table, one or a slice, and refuses what contradicts what is there.

An import's judgements lie in the table before they count. Where a person's answer, or a later import, needs their
place, the import that is still staging gives way: it ends with a Conflict and nothing of it remains.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, delete, insert, select, update

from hfi_core.errors import UserError
from hfi_core.feedback.store.entry import Entry
from hfi_core.feedback.store.queries import is_visible
from hfi_core.feedback.store.tables import batch, judgement, lease, shown


class Conflict(UserError):
    """A judgement contradicts the store."""

    def __init__(self, message: str, id: str, existing: str | None = None):
        super().__init__(message)
        self.id = id
        """The judgement that was refused."""
        self.existing = existing
        """The one that it contradicts: where the question was answered before, `supersedes` may name it."""


def insert_judgements(connection: Connection, entries: Sequence[Entry], into: int | None) -> list[Entry]:
    """Take in entries, into a batch that does not count yet or (None) at once; those that were new.

    Raises Conflict. Whether `supersedes` names something is asked here only of what counts at once.
    """
    new = _without_known(connection, _each_once(entries), into)
    if into is None:
        _require_superseded(connection, new)
    _make_room(connection, new, into)
    if new:
        connection.execute(insert(judgement), [one.values | {"batch": into} for one in new])
        pairs = [(one, *about) for one in new if one.supersedes is None for about in one.seen.items()]
        if pairs:
            connection.execute(
                insert(shown),
                [
                    {
                        "concept": one.concept,
                        "picture": picture,
                        "sha256": digest,
                        "annotator": one.annotator,
                        "judgement": one.id,
                    }
                    for one, picture, digest in pairs
                ],  # fmt: skip
            )
        for one, picture, _ in pairs if into is None else ():
            theirs = (lease.c.concept == one.concept, lease.c.picture == picture, lease.c.annotator == one.annotator)
            connection.execute(delete(lease).where(*theirs))
    return new


def _each_once(entries: Sequence[Entry]) -> list[Entry]:
    found: dict[str, Entry] = {}
    for one in entries:
        if one.id in found and found[one.id].content != one.content:
            raise _other_content(one.id)
        found[one.id] = one
    return [found[id] for id in sorted(found)]  # one order for all, so that PostgreSQL's writers meet no deadlock


def _without_known(connection: Connection, entries: list[Entry], into: int | None) -> list[Entry]:
    rows = _rows(connection, judgement.c.id.in_([one.id for one in entries]))
    there = {row.id: row for row in rows}
    new = []
    for one in entries:
        row = there.get(one.id)
        if row is None:
            new.append(one)
        elif row.visible or row.batch == into:
            if row.content != one.content:
                raise _other_content(one.id)
        else:
            _give_way(connection, row)
            new.append(one)
    return new


def _other_content(id: str) -> Conflict:
    return Conflict(
        f"Judgement {id!r} is there already and says something else: give the new one an id of its own, and let its "
        "`supersedes` name the earlier one if it corrects it.",
        id,
        existing=id,
    )


def _require_superseded(connection: Connection, entries: list[Entry]) -> None:
    for one in entries:
        if one.supersedes is None:
            continue
        query = select(judgement.c.question).where(judgement.c.id == one.supersedes, is_visible())
        if connection.execute(query).scalar_one_or_none() != one.question:
            raise make_superseding_conflict(one.id, one.supersedes)


def make_superseding_conflict(id: str, supersedes: str) -> Conflict:
    """The refusal of a correction of nothing."""
    return Conflict(
        f"Judgement {id!r} supersedes {supersedes!r}, which is no judgement by the same annotator on the same "
        "question: name the earlier judgement's id, or leave `supersedes` out.",
        id,
    )


def _make_room(connection: Connection, entries: list[Entry], into: int | None) -> None:
    """Refuse a second beginning or a second correction; where only an unfinished import stands there, it goes."""
    beginning = {one.question: one for one in entries if one.supersedes is None}
    correcting = {one.supersedes: one for one in entries if one.supersedes is not None}
    if len(beginning) + len(correcting) < len(entries):
        raise _twice_among(entries)
    begun = (judgement.c.supersedes.is_(None), judgement.c.question.in_(beginning))
    for row in _rows(connection, *begun) if beginning else ():
        if not row.visible and row.batch != into:
            _give_way(connection, row)
            continue
        one = beginning[row.question]
        last = _last_answer(connection, row.id)
        raise Conflict(
            f"{one.annotator!r} has answered the question of judgement {one.id!r} before, in {last!r}: if it is a "
            "correction, let its `supersedes` name that one.",
            one.id,
            existing=last,
        )
    for row in _rows(connection, judgement.c.supersedes.in_(correcting)) if correcting else ():
        if not row.visible and row.batch != into:
            _give_way(connection, row)
            continue
        one = correcting[row.supersedes]
        raise Conflict(
            f"Judgement {one.id!r} supersedes {row.supersedes!r}, which {row.id!r} has superseded already: let it "
            "name the latest answer.",
            one.id,
            existing=_last_answer(connection, row.id),
        )


def _twice_among(entries: list[Entry]) -> Conflict:
    seen: dict[tuple[str, str], str] = {}
    for one in entries:
        place = ("corrects", one.supersedes) if one.supersedes is not None else ("answers", one.question)
        if place in seen:
            return Conflict(
                f"Judgements {seen[place]!r} and {one.id!r} answer the same question, and neither supersedes the "
                "other: let the later one's `supersedes` name the earlier one, or leave one out.",
                one.id,
                existing=seen[place],
            )
        seen[place] = one.id
    raise AssertionError("no two judgements have one place")


def _last_answer(connection: Connection, id: str) -> str:
    later = select(judgement.c.id).where(judgement.c.supersedes == id)
    while (found := connection.execute(later).scalar_one_or_none()) is not None:
        id, later = found, select(judgement.c.id).where(judgement.c.supersedes == found)
    return id


def _rows(connection: Connection, *where) -> Sequence[Row]:
    columns = (judgement.c.id, judgement.c.batch, judgement.c.question, judgement.c.supersedes, judgement.c.content)
    return connection.execute(
        select(*columns, is_visible().label("visible")).where(*where).order_by(judgement.c.id)
    ).all()


def _give_way(connection: Connection, row: Row) -> None:
    """End an unfinished import (its rows are cleared away later) and take its judgement out."""
    connection.execute(update(batch).where(batch.c.id == row.batch, ~batch.c.visible).values(key=None, counted=False))
    connection.execute(delete(shown).where(shown.c.judgement == row.id))
    connection.execute(delete(judgement).where(judgement.c.id == row.id))
