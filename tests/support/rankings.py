"""Rankings for tests, written as text."""

from hfi_core.feedback.ledger import Ranking


def order(text: str, annotator: str = "ana", not_applicable: str = "") -> Ranking:
    """An order from "a bc d": groups from the strongest, parted by blanks."""
    groups = tuple(tuple(group) for group in text.split())
    subject = ", ".join(sorted(text.replace(" ", "") + not_applicable))
    return Ranking(subject, annotator, groups, tuple(not_applicable))
