"""What a file's own words mean: yes, no or can't tell."""

import math
from functools import cache
from typing import Any

from hfi_core.feedback.formats.row import ReadOptions

_USUAL = {
    "yes": ("yes", "y", "true", "1"),
    "no": ("no", "n", "false", "0"),
    "cant_tell": ("cant_tell", "can't tell", "cant tell", "cannot tell", "?"),
}
_SHOWN = 60


def parse_answer(value: Any, reading: ReadOptions) -> str:
    """`yes`, `no` or `cant_tell`; ValueError with the reason for a value that the options give no meaning.

    What the options say goes before what is usual, so that a question asked the other way round can be read.
    """
    word = _word(value)
    given = {"yes": reading.yes, "no": reading.no, "cant_tell": reading.cant_tell}
    for meanings in (given, _USUAL):
        for answer, words in meanings.items():
            if word in _words(words):
                return answer
        if meanings is given and reading.rating_yes is not None and (rating := _number(value)) is not None:
            return _rated(rating, reading)
    if _number(value) is not None:
        raise ValueError(
            f"the answer {format_value(value)} is a rating; say what it means with --rating-yes and --rating-no"
        )
    raise ValueError(
        f"the answer {format_value(value)} has no meaning here; give it one with --yes, --no or --cant-tell"
    )


def parse_rating(value: Any, reading: ReadOptions) -> str:
    """The answer that a rating is by the options; ValueError without them, since 1 may be the best or the worst."""
    rating = _number(value)
    if rating is None:
        raise ValueError(f"the rating {format_value(value)} is no number")
    if reading.rating_yes is None:
        raise ValueError(f"the answer is the rating {rating:g}; say what it means with --rating-yes and --rating-no")
    return _rated(rating, reading)


def format_value(value: Any) -> str:
    """A value of the file as a message may show it: short, and without control characters."""
    text = ascii(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def printable(text: str) -> str:
    """A text whose control characters, lone surrogates and the like are written out, so that a terminal stays whole."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _rated(rating: float, reading: ReadOptions) -> str:
    if rating >= reading.rating_yes:
        return "yes"
    if reading.rating_no is None or rating <= reading.rating_no:
        return "no"
    return "cant_tell"


@cache
def _words(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_word, words))


def _word(value: Any) -> str:
    return str(value).strip().casefold() if isinstance(value, str | int | float) else ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
