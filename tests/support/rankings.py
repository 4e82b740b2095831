"""Rankings for tests, written as text."""

from hfi_core.feedback.ledger import Order


def order(text: str, annotator: str = "ana", not_applicable: str = "") -> Order:
    """An order from "a bc d": groups from the strongest, parted by blanks."""
    groups = tuple(tuple(group) for group in text.split())
    subject = ", ".join(sorted(text.replace(" ", "") + not_applicable))
    return Order(subject, annotator, groups, tuple(not_applicable))
