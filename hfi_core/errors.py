"""Errors that a user can fix, and how to describe errors in one line."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hfi_core.secrets import hide_passwords

if TYPE_CHECKING:
    from pydantic import ValidationError

_MAX_LINES = 3
"""Lines that follow an announcement and are joined with it."""
_PYDANTIC_HEAD = re.compile(r"\b\d+ validation errors? for (.+)$", re.MULTILINE)
_PYDANTIC_MISTAKE = re.compile(
    r"^(?:(?P<field>(?!.*\d validation errors? for )\S.*)\n)?  (?:Value error, |Assertion failed, )?(?P<message>\S.*?)"
    r" \[type=\w+(?:, input_value=(?P<value>.*), input_type=\w+)?\]"
    r"(?:\n    For further information visit https://errors\.pydantic\.dev/\S+)?$",
    re.MULTILINE,
)


class UserError(Exception):
    """A user's mistake: one message that says what is wrong, where, and how to fix it. A command exits with code 2.

    Passwords in addresses are removed from the message, because it goes to logs, to Prefect and to webhooks.
    """

    def __init__(self, message: str):
        super().__init__(hide_passwords(remove_pydantic_terms(message)))


def first_line(error: BaseException, *, with_type: bool = False) -> str:
    """Return the first line of an error's text that is not empty, or the name of its type if it has no text.

    If that line only announces others ("These files failed:"), the first of them follow it. `with_type` puts the name
    of the type in front: "ConnectionError: refused".
    """
    name = type(error).__name__
    lines = [line.strip(" #\t") for line in remove_pydantic_terms(str(error)).splitlines()]
    head, *rest = [line for line in lines if line] or [""]
    if not head:
        return name
    if head.endswith(":") and rest:
        head = f"{head} {listed([line.removeprefix('- ') for line in rest], _MAX_LINES)}"
    return f"{name}: {head}" if with_type else head


def remove_pydantic_terms(text: str) -> str:
    """Return a text in which each mistake that pydantic found is one line: "seed: Input should be ... (is 'x')".

    It works on the text, because libraries quote pydantic's errors in their own.
    """
    if "[type=" not in text:
        return text
    return _PYDANTIC_HEAD.sub(r"\1 is not valid:", _PYDANTIC_MISTAKE.sub(_describe_mistake, text))


def _describe_mistake(match: re.Match[str]) -> str:
    field, message, value = match["field"], match["message"], match["value"]
    quoted = f" (is {value})" if value and value[0] not in "{[" else ""
    return f"  {field}: {message}{quoted}" if field else f"  {message}{quoted}"


def first_mistake(error: "ValidationError") -> str:
    """Return the first mistake that pydantic found: "FIELD: what is wrong"."""
    mistake = error.errors(include_url=False)[0]
    field = ".".join(map(str, mistake["loc"]))
    message = mistake["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


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
