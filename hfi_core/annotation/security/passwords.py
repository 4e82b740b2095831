"""Check that a new password is long enough, and not one of those that attackers try first."""

from collections.abc import Sequence
from typing import Literal

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 200
_MIN_SCORE = 3
"""zxcvbn's score from 0 to 4. 3 takes at least 10^8 guesses."""
_MAX_CHECKED_LENGTH = 72
"""zxcvbn refuses longer texts, and takes long for them."""

PasswordProblem = Literal["short", "common"]


def find_password_problem(password: str, known_words: Sequence[str] = ()) -> PasswordProblem | None:
    """Return what is wrong with a new password, or None.

    `known_words` are what an attacker knows of the person and the server, such as the name. zxcvbn (Wheeler, USENIX
    Security 2016) estimates the guesses from lists of common passwords, names and words, and from dates, sequences,
    repetitions and keyboard patterns.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        return "short"
    from zxcvbn import zxcvbn

    words = [part for text in ("hfi annotation", *known_words) for part in (text, "".join(text.split()), *text.split())]
    return "common" if zxcvbn(password[:_MAX_CHECKED_LENGTH], user_inputs=words)["score"] < _MIN_SCORE else None
