"""Errors that a user can fix, and how to describe errors in one line."""

from collections.abc import Iterator, Sequence

from hfi_core.secrets import hide_passwords


class UserError(Exception):
    """A user's mistake: one message that says what is wrong, where, and how to fix it. A command exits with code 2.

    Passwords in addresses are removed from the message, because it goes to logs, to Prefect and to webhooks.
    """

    def __init__(self, message: str):
        super().__init__(hide_passwords(message))


def first_line(error: BaseException, *, with_type: bool = False) -> str:
    """Return the first line of an error's text that is not empty, or the name of its type if it has no text.

    `with_type` puts the name of the type in front: "ConnectionError: refused".
    """
    name = type(error).__name__
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), None)
    if line is None:
        return name
    return f"{name}: {line}" if with_type else line


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then the error that caused it, and so on to the first one."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def listed(items: Sequence[str], max_items: int = 20, *, total: int | None = None, as_lines: bool = False) -> str:
    """Return "a, b, c and 4 more", with at most `max_items` items.

    `as_lines` gives each item an indented line of its own. `total` is the number of items where `items` holds only the
    first of them.
    """
    more = (len(items) if total is None else total) - len(items[:max_items])
    rest = [f"and {more} more"] if more > 0 else []
    if as_lines:
        return "\n".join(f"  {line}" for line in [*items[:max_items], *rest])
    return " ".join([", ".join(items[:max_items]), *rest])
