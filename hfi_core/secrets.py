"""Keeps passwords out of what is logged, shown or recorded: addresses may hold them."""

import os
import re

_USER_INFO = re.compile(r"(?<=://)([^\s/@:\"']*):([^\s/\"']*)@")
_ARGUMENT = re.compile(
    r"(?i)([?&;](?:[a-z_-]*(?:password|passwd|secret|token|signature|api_?key)[a-z_-]*)=)[^\s&;\"']+"
)
HIDDEN = "***"


def hide_passwords(text: str) -> str:
    """A text whose addresses have lost their passwords: `postgresql://ana:***@host/name`."""
    return _ARGUMENT.sub(rf"\g<1>{HIDDEN}", _USER_INFO.sub(rf"\g<1>:{HIDDEN}@", text))


_NAMES = re.compile(r"(?i)password|passwd|secret|token|api_?key|auth_string|webhook")
_SHORTEST = 8
"""A shorter value may be a word of any message; it would be found everywhere."""


def hide_secrets(text: str) -> str:
    """A text without the passwords of its addresses, and without the values of variables that are named as secrets.

    A webhook's address is such a value: whoever knows it may call it.
    """
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and value in text and _NAMES.search(name):
            text = text.replace(value, HIDDEN)
    return hide_passwords(text)
