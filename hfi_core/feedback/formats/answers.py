"""Parse the words and ratings of a file to the answers yes, no and can't tell."""

import math
import re
import unicodedata
from functools import cache
from typing import Any

from hfi_core.feedback.formats.row import ReadOptions

_USUAL_WORDS = {
    "yes": ("yes", "y", "true", "1"),
    "no": ("no", "n", "false", "0"),
    "cant_tell": ("cant_tell", "can't tell", "cant tell", "cannot tell", "?"),
}
_MAX_LENGTH = 60
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"(-?\d+)[.,]0{1,2}", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
"""`1,500` is one and a half in some countries, and fifteen hundred in others."""


def parse_answer(value: Any, options: ReadOptions) -> str:
    """Parse a value to `yes`, `no` or `cant_tell`.

    The words in the options take precedence over the usual ones, so that the answers to an inverted question can be
    read. Raises ValueError with the reason if the value has no meaning.
    """
    word = _normalize(value)
    custom = {"yes": options.yes, "no": options.no, "cant_tell": options.cant_tell}
    for vocabulary in (custom, _USUAL_WORDS):
        for answer, words in vocabulary.items():
            if word in normalize_words(words):
                return answer
        if vocabulary is custom and options.rating_yes is not None and (rating := _to_number(value)) is not None:
            return _answer_of_rating(rating, options)
    if _to_number(value) is not None:
        raise ValueError(
            f"the answer {format_value(value)} is a rating; define its meaning with --rating-yes and --rating-no"
        )
    raise ValueError(f"the answer {format_value(value)} has no meaning yet; define it with --yes, --no or --cant-tell")


def parse_rating(value: Any, options: ReadOptions) -> str:
    """Parse a rating to an answer by the options.

    Raises ValueError if the options do not say which ratings mean yes: 1 may be the best or the worst.
    """
    rating = _to_number(value)
    if rating is None:
        raise ValueError(f"the rating {format_value(value)} is not a number")
    if options.rating_yes is None:
        raise ValueError(f"the answer is the rating {rating:g}; define its meaning with --rating-yes and --rating-no")
    return _answer_of_rating(rating, options)


def format_value(value: Any) -> str:
    """Format a value of the file for a message: short, and without control characters."""
    text = ascii(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."


def _answer_of_rating(rating: float, options: ReadOptions) -> str:
    if options.rating_yes is not None and rating >= options.rating_yes:
        return "yes"
    if options.rating_no is None or rating <= options.rating_no:
        return "no"
    return "cant_tell"


@cache
def normalize_words(words: tuple[str, ...]) -> frozenset[str]:
    """Return words in the form in which answers are compared."""
    return frozenset(map(_normalize, words))


def _normalize(value: Any) -> str:
    """Return an answer without differences that its author does not mean: case, curly apostrophes, 1.0 for 1."""
    if not isinstance(value, str | int | float):
        return ""
    text = unicodedata.normalize("NFKC", str(value)).translate(_APOSTROPHES)
    text = " ".join(text.split()).casefold()
    match = _WHOLE_NUMBER.fullmatch(text)
    return match[1] if match else text


def _to_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str):
        value = value.strip()
        if _GROUPED.fullmatch(value):
            raise ValueError(
                f"the number {format_value(value)} can be read with a decimal comma or without; write a point"
            )
        if not _NUMBER.fullmatch(value):
            return None
        value = value.replace(",", ".")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
