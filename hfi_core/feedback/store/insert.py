"""Insert judgements into the table, and reject those that contradict the store.

An import's judgements are in the table before they count. If a person's answer, or a later import, has the same id or
question, the unfinished import is abandoned: it ends with a Conflict, and all of its judgements are deleted.
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
        """Id of the rejected judgement."""
        self.existing = existing
        """Id of the judgement that it contradicts. If it answers the same question, `supersedes` may name it."""


def insert_judgements(connection: Connection, entries: Sequence[Entry], batch_id: int | None) -> list[Entry]:
    """Insert entries and return the new ones. With a batch id they do not count yet; with None they count at once.

    Raises Conflict if an entry contradicts the store. `supersedes` is only checked for entries that count at once:
    `batches` checks it at the end of an import.
    """
    added = _without_known(connection, _without_duplicates(entries), batch_id)
    if batch_id is None:
        _require_superseded(connection, added)
    _require_free_questions(connection, added, batch_id)
    if added:
        connection.execute(insert(judgement), [entry.values | {"batch": batch_id} for entry in added])
        pairs = [
            (entry, *pair) for entry in added if entry.supersedes is None for pair in entry.picture_digests.items()
        ]
        if pairs:
            connection.execute(
                insert(shown),
                [
                    {
                        "concept": entry.concept,
                        "picture": picture,
                        "sha256": digest,
                        "annotator": entry.annotator,
                        "judgement": entry.id,
                    }
                    for entry, picture, digest in pairs
                ],  # fmt: skip
            )
        for entry, picture, _ in pairs if batch_id is None else ():
            own_lease = (
                lease.c.concept == entry.concept,
                lease.c.picture == picture,
                lease.c.annotator == entry.annotator,
            )
            connection.execute(delete(lease).where(*own_lease))
    return added


def _without_duplicates(entries: Sequence[Entry]) -> list[Entry]:
    unique: dict[str, Entry] = {}
    for entry in entries:
        if entry.id in unique and unique[entry.id].content != entry.content:
            raise _make_content_conflict(entry.id)
        unique[entry.id] = entry
    return [unique[id] for id in sorted(unique)]  # in one order for all writers, against deadlocks


def _without_known(connection: Connection, entries: list[Entry], batch_id: int | None) -> list[Entry]:
    rows = _read_rows(connection, judgement.c.id.in_([entry.id for entry in entries]))
    stored_by_id = {row.id: row for row in rows}
    added = []
    for entry in entries:
        row = stored_by_id.get(entry.id)
        if row is None:
            added.append(entry)
        elif row.visible or row.batch == batch_id:
            if row.content != entry.content:
                raise _make_content_conflict(entry.id)
        else:
            _remove_unfinished(connection, row)
            added.append(entry)
    return added


def _make_content_conflict(id: str) -> Conflict:
    return Conflict(
        f"Judgement {id!r} is already in the store with other content.\n"
        "  To fix this: give the new one another id. If it is a correction, let its `supersedes` name the earlier one.",
        id,
        existing=id,
    )


def _require_superseded(connection: Connection, entries: list[Entry]) -> None:
    for entry in entries:
        if entry.supersedes is None:
            continue
        query = select(judgement.c.question).where(judgement.c.id == entry.supersedes, is_visible())
        if connection.execute(query).scalar_one_or_none() != entry.question:
            raise make_superseding_conflict(entry.id, entry.supersedes)


def make_superseding_conflict(id: str, supersedes: str) -> Conflict:
    """Make the error for a judgement whose `supersedes` names no answer to its question."""
    return Conflict(
        f"Judgement {id!r} supersedes {supersedes!r}, which is not a judgement by the same annotator on the same "
        "question.\n  To fix this: name the earlier judgement's id, or remove `supersedes`.",
        id,
    )


def _require_free_questions(connection: Connection, entries: list[Entry], batch_id: int | None) -> None:
    """Raise Conflict for a second first answer or a second correction. Remove those of unfinished imports."""
    first_answers = {entry.question: entry for entry in entries if entry.supersedes is None}
    corrections = {entry.supersedes: entry for entry in entries if entry.supersedes is not None}
    if len(first_answers) + len(corrections) < len(entries):
        raise _make_duplicate_conflict(entries)
    is_first = (judgement.c.supersedes.is_(None), judgement.c.question.in_(first_answers))
    for row in _read_rows(connection, *is_first) if first_answers else ():
        if not row.visible and row.batch != batch_id:
            _remove_unfinished(connection, row)
            continue
        entry = first_answers[row.question]
        last = _last_answer(connection, row.id)
        raise Conflict(
            f"{entry.annotator!r} has already answered the question of judgement {entry.id!r}, in {last!r}.\n"
            "  To fix this: if it is a correction, let its `supersedes` name that one.",
            entry.id,
            existing=last,
        )
    for row in _read_rows(connection, judgement.c.supersedes.in_(corrections)) if corrections else ():
        if not row.visible and row.batch != batch_id:
            _remove_unfinished(connection, row)
            continue
        entry = corrections[row.supersedes]
        raise Conflict(
            f"Judgement {entry.id!r} supersedes {row.supersedes!r}, which {row.id!r} has already superseded.\n"
            "  To fix this: let it name the latest answer.",
            entry.id,
            existing=_last_answer(connection, row.id),
        )


def _make_duplicate_conflict(entries: list[Entry]) -> Conflict:
    seen: dict[tuple[str, str], str] = {}
    for entry in entries:
        role = ("corrects", entry.supersedes) if entry.supersedes is not None else ("answers", entry.question)
        if role in seen:
            return Conflict(
                f"Judgements {seen[role]!r} and {entry.id!r} answer the same question, and neither supersedes the "
                "other.\n  To fix this: let the later one's `supersedes` name the earlier one, or remove one of them.",
                entry.id,
                existing=seen[role],
            )
        seen[role] = entry.id
    raise AssertionError("no two judgements have the same role")


def _last_answer(connection: Connection, id: str) -> str:
    later = select(judgement.c.id).where(judgement.c.supersedes == id)
    while (next_id := connection.execute(later).scalar_one_or_none()) is not None:
        id, later = next_id, select(judgement.c.id).where(judgement.c.supersedes == next_id)
    return id


def _read_rows(connection: Connection, *where) -> Sequence[Row]:
    columns = (judgement.c.id, judgement.c.batch, judgement.c.question, judgement.c.supersedes, judgement.c.content)
    return connection.execute(
        select(*columns, is_visible().label("visible")).where(*where).order_by(judgement.c.id)
    ).all()


def _remove_unfinished(connection: Connection, row: Row) -> None:
    """Abandon an unfinished import, and delete its judgement. Its other rows are deleted later."""
    connection.execute(update(batch).where(batch.c.id == row.batch, ~batch.c.visible).values(key=None, counted=False))
    connection.execute(delete(shown).where(shown.c.judgement == row.id))
    connection.execute(delete(judgement).where(judgement.c.id == row.id))
