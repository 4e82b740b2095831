"""Names in a message: the first ones, and how many more there are."""

from collections.abc import Sequence


def first_of(names: Sequence[str], most: int) -> str:
    """`a, b, c and 4 more`, with at most `most` names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
