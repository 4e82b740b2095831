"""SQL expressions for the judgements that count: visible, and not superseded by a visible one."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, and_, exists, func, or_, select, update
from sqlalchemy.sql import FromClause

from hfi_core.feedback.store.tables import batch, judgement, offer, shown


def is_visible(source: FromClause = judgement) -> ColumnElement[bool]:
    """Select whether a judgement was added singly, or by a complete import."""
    complete = select(batch.c.id).where(batch.c.visible)
    return or_(source.c.batch.is_(None), source.c.batch.in_(complete))


def is_counting() -> ColumnElement[bool]:
    """Select whether a judgement is visible and the latest answer to its question."""
    later = judgement.alias("later")
    return and_(is_visible(), ~exists().where(later.c.supersedes == judgement.c.id, is_visible(later)))


def _counted() -> ColumnElement[bool]:
    """Select whether a judgement is visible, or will be as soon as its import is complete."""
    return or_(judgement.c.batch.is_(None), judgement.c.batch.in_(select(batch.c.id).where(batch.c.counted)))


def is_about_offered() -> ColumnElement[bool]:
    """Select whether the judged picture is the offered one, and not an earlier one with its id."""
    return and_(
        shown.c.concept == offer.c.concept, shown.c.picture == offer.c.picture,
        or_(shown.c.sha256.is_(None), shown.c.sha256 == offer.c.sha256),
    )  # fmt: skip


def count_answers_on_offered(where: ColumnElement[bool]) -> ScalarSelect[int]:
    """Number of annotators who have judged an offered picture."""
    return (
        select(func.count(shown.c.annotator.distinct()))
        .join(judgement, judgement.c.id == shown.c.judgement)
        .where(is_about_offered(), where)
        .correlate(offer)
        .scalar_subquery()
    )


def recount(connection: Connection, concept: str, pictures: Collection[str]) -> None:
    """Update `offer.answers` for some pictures of a concept."""
    offered = (offer.c.concept == concept, offer.c.picture.in_(sorted(pictures)))
    connection.execute(update(offer).where(*offered).values(answers=count_answers_on_offered(_counted())))


def recount_pairs(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Update `offer.answers` for pairs of concept and picture."""
    by_concept: dict[str, set[str]] = {}
    for concept, picture in pairs:
        by_concept.setdefault(concept, set()).add(picture)
    for concept, pictures in by_concept.items():
        recount(connection, concept, pictures)


def select_related(ids: Sequence[str], questions: Sequence[str]) -> Select[str]:
    """Select the lines of judgements with one of the ids or questions, and of all corrections of these."""
    begins = and_(judgement.c.question.in_(questions), judgement.c.supersedes.is_(None))
    related = select(judgement.c.id).where(or_(judgement.c.id.in_(ids), begins)).cte("related", recursive=True)
    later = judgement.alias("later")
    related = related.union(select(later.c.id).join(related, later.c.supersedes == related.c.id))
    lines = select(judgement.c.content).join(related, related.c.id == judgement.c.id)
    return lines.where(is_visible()).order_by(judgement.c.id)
