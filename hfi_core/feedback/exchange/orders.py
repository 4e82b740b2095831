"""A ranking in one line of text: `a > b = c > d`, the strongest first, `=` between ties."""

from collections.abc import Sequence


def order_text(groups: Sequence[Sequence[str]]) -> str:
    """Groups as text; picture ids hold neither `>` nor `=`."""
    return " > ".join(" = ".join(group) for group in groups)


def order_of(text: str) -> list[list[str]]:
    """The groups in a text."""
    if not text.strip():
        return []
    return [[name.strip() for name in group.split("=")] for group in text.split(">")]
