"""Which judgements an import has to look at: by the table's indexes, so that the store's size does not matter."""

from collections.abc import Sequence

from sqlalchemy import Select, and_, or_, select

from hfi_core.feedback.store.queries import visible
from hfi_core.feedback.store.tables import judgement


def touched(ids: Sequence[str], questions: Sequence[str]) -> Select[tuple[str]]:
    """The lines of those that have one of the ids, or answer one of the questions, corrections included."""
    begins = and_(judgement.c.question.in_(questions), judgement.c.supersedes.is_(None))
    found = select(judgement.c.id).where(or_(judgement.c.id.in_(ids), begins)).cte("touched", recursive=True)
    later = judgement.alias("later")
    found = found.union(select(later.c.id).join(found, later.c.supersedes == found.c.id))
    lines = select(judgement.c.content).join(found, found.c.id == judgement.c.id)
    return lines.where(visible()).order_by(judgement.c.id)
