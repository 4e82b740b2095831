"""Keeps passwords out of what is logged, shown or recorded: addresses may hold them."""

import re

_USER_INFO = re.compile(r"(?<=://)([^\s/@:\"']*):([^\s/\"']*)@")
_ARGUMENT = re.compile(
    r"(?i)([?&;](?:[a-z_-]*(?:password|passwd|secret|token|signature|api_?key)[a-z_-]*)=)[^\s&;\"']+"
)
HIDDEN = "***"


def without_passwords(text: str) -> str:
    """A text whose addresses have lost their passwords: `postgresql://ana:***@host/name`."""
    return _ARGUMENT.sub(rf"\g<1>{HIDDEN}", _USER_INFO.sub(rf"\g<1>:{HIDDEN}@", text))
