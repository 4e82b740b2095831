"""Errors that a user can mend."""

from collections.abc import Sequence

from hfi_core.secrets import without_passwords


def first_of(names: Sequence[str], most: int) -> str:
    """`a, b, c and 4 more`, with at most `most` names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


_MOST_LISTED = 20


class UserError(Exception):
    """A user's mistake: one message that says what, where and how to mend it. Ends a command with exit code 2.

    Addresses in it lose their passwords: the message goes to logs, to Prefect and to webhooks.
    """

    def __init__(self, message: str):
        super().__init__(without_passwords(message))


def listed(mistakes: Sequence[str]) -> list[str]:
    """The lines that a message about many mistakes shows: the first of them, and how many more there are."""
    more = len(mistakes) - _MOST_LISTED
    return [f"  {one}" for one in mistakes[:_MOST_LISTED]] + ([f"  ... and {more} more"] if more > 0 else [])
