"""What counts: judgements that are visible, and that no visible one supersedes."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, exists, func, or_, select, update
from sqlalchemy.sql import FromClause

from hfi_core.feedback.store.tables import batch, judgement, offer, shown


def visible(of: FromClause = judgement) -> ColumnElement[bool]:
    """Whether a judgement came alone, or with an import that is whole."""
    whole = select(batch.c.id).where(batch.c.visible)
    return or_(of.c.batch.is_(None), of.c.batch.in_(whole))


def counting() -> ColumnElement[bool]:
    """Whether a judgement is visible and the latest answer to its question."""
    later = judgement.alias("later")
    return and_(visible(), ~exists().where(later.c.supersedes == judgement.c.id, visible(later)))


def answers_on(concept: ColumnElement, picture: ColumnElement) -> ScalarSelect[int]:
    """How many annotators have answered about a picture."""
    return (
        select(func.count(shown.c.annotator.distinct()))
        .join(judgement, judgement.c.id == shown.c.judgement)
        .where(shown.c.concept == concept, shown.c.picture == picture, visible())
        .scalar_subquery()
    )


def recount(connection: Connection, concept: str, pictures: Collection[str]) -> None:
    """Bring `offer.answers` up to date for some pictures."""
    these = (offer.c.concept == concept, offer.c.picture.in_(sorted(pictures)))
    connection.execute(update(offer).where(*these).values(answers=answers_on(offer.c.concept, offer.c.picture)))
