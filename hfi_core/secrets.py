"""Keep passwords and other secrets out of what is logged, shown or recorded."""

import os
import re

_USER_INFO = re.compile(r"(?<=://)([^\s/@:\"']*):([^\s/\"']*)@")
_ARGUMENT = re.compile(
    r"(?i)([?&;](?:[a-z_-]*(?:password|passwd|secret|token|signature|api_?key)[a-z_-]*)=)[^\s&;\"']+"
)
HIDDEN = "***"
_SECRET_NAMES = re.compile(r"(?i)password|passwd|secret|token|api_?key|auth_string|webhook")
_MIN_LENGTH = 8
"""A shorter value may be an ordinary word, which would be hidden in every message."""


def hide_passwords(text: str) -> str:
    """Replace the passwords of addresses in a text: `postgresql://ana:***@host/name`."""
    return _ARGUMENT.sub(rf"\g<1>{HIDDEN}", _USER_INFO.sub(rf"\g<1>:{HIDDEN}@", text))


def hide_secrets(text: str) -> str:
    """Replace the passwords of addresses, and the values of environment variables whose names say that they are secret.

    A webhook's address is such a value: everybody who knows it can call it.
    """
    for name, value in os.environ.items():
        if len(value) >= _MIN_LENGTH and value in text and _SECRET_NAMES.search(name):
            text = text.replace(value, HIDDEN)
    return hide_passwords(text)
