"""Errors that a user can mend."""


class UserError(Exception):
    """A user's mistake: one message that says what, where and how to mend it. Ends a command with exit code 2."""
