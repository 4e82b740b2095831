"""Takes secrets out of what is said or logged: passwords in addresses, and the secrets that the environment holds."""

import os
import re

from hfi_core.secrets import HIDDEN, without_passwords

_NAMES = re.compile(r"(?i)password|passwd|secret|token|api_?key|auth_string|webhook")
_SHORTEST = 8
"""A shorter value may be a word of any message; it would be found everywhere."""


def redacted(text: str) -> str:
    """A text without the passwords of its addresses, and without the values of variables that are named as secrets.

    A webhook's address is such a value: whoever knows it may call it.
    """
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and value in text and _NAMES.search(name):
            text = text.replace(value, HIDDEN)
    return without_passwords(text)
