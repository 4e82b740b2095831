"""Errors that a user can mend."""

from collections.abc import Sequence

_MOST_LISTED = 20


class UserError(Exception):
    """A user's mistake: one message that says what, where and how to mend it. Ends a command with exit code 2."""


def listed(mistakes: Sequence[str]) -> list[str]:
    """The lines that a message about many mistakes shows: the first of them, and how many more there are."""
    more = len(mistakes) - _MOST_LISTED
    return [f"  {one}" for one in mistakes[:_MOST_LISTED]] + ([f"  ... and {more} more"] if more > 0 else [])
