"""What counts: judgements that are visible, and that no visible one supersedes."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, and_, exists, func, or_, select, update
from sqlalchemy.sql import FromClause

from hfi_core.feedback.store.tables import batch, judgement, offer, shown


def is_visible(of: FromClause = judgement) -> ColumnElement[bool]:
    """Whether a judgement came alone, or with an import that is whole."""
    whole = select(batch.c.id).where(batch.c.visible)
    return or_(of.c.batch.is_(None), of.c.batch.in_(whole))


def is_counting() -> ColumnElement[bool]:
    """Whether a judgement is visible and the latest answer to its question."""
    later = judgement.alias("later")
    return and_(is_visible(), ~exists().where(later.c.supersedes == judgement.c.id, is_visible(later)))


def _counted() -> ColumnElement[bool]:
    """Whether a judgement is visible, or will be as soon as its import has counted its answers."""
    return or_(judgement.c.batch.is_(None), judgement.c.batch.in_(select(batch.c.id).where(batch.c.counted)))


def is_about_offered() -> ColumnElement[bool]:
    """Whether what was shown is the picture that is offered, and not one that had its id before."""
    return and_(
        shown.c.concept == offer.c.concept, shown.c.picture == offer.c.picture,
        or_(shown.c.sha256.is_(None), shown.c.sha256 == offer.c.sha256),
    )  # fmt: skip


def count_answers_on_offered(where: ColumnElement[bool]) -> ScalarSelect[int]:
    """How many annotators have answered about a picture that is offered."""
    return (
        select(func.count(shown.c.annotator.distinct()))
        .join(judgement, judgement.c.id == shown.c.judgement)
        .where(is_about_offered(), where)
        .correlate(offer)
        .scalar_subquery()
    )


def recount(connection: Connection, concept: str, pictures: Collection[str]) -> None:
    """Bring `offer.answers` up to date for some pictures."""
    these = (offer.c.concept == concept, offer.c.picture.in_(sorted(pictures)))
    connection.execute(update(offer).where(*these).values(answers=count_answers_on_offered(_counted())))


def recount_shown(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Bring `offer.answers` up to date for pairs of concept and picture."""
    pictures: dict[str, set[str]] = {}
    for concept, picture in rows:
        pictures.setdefault(concept, set()).add(picture)
    for concept, these in pictures.items():
        recount(connection, concept, these)


def select_related(ids: Sequence[str], questions: Sequence[str]) -> Select[tuple[str]]:
    """The lines of those that have one of the ids, or answer one of the questions, corrections included."""
    begins = and_(judgement.c.question.in_(questions), judgement.c.supersedes.is_(None))
    found = select(judgement.c.id).where(or_(judgement.c.id.in_(ids), begins)).cte("touched", recursive=True)
    later = judgement.alias("later")
    found = found.union(select(later.c.id).join(found, later.c.supersedes == found.c.id))
    lines = select(judgement.c.content).join(found, found.c.id == judgement.c.id)
    return lines.where(is_visible()).order_by(judgement.c.id)
