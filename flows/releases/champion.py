"""The record of promotions: tags on the versions themselves, so that whoever reads the registry has all of it.

Each promotion is one tag `promotion.NNNN` with all that is known of it, set in one step: it is there or it is not.
The highest number among the versions that exist is the last one settled, unless the model's tag `promotion.last` is
higher: the version with that number was deleted since, or the number stands for a pass that found no champion.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

PREFIX = "promotion."
LAST = "promotion.last"
"""Tag of the registered model: the number of the last decision; that nobody is champion any more is one, too."""
_LONGEST_LINE = 50
_MOST_DIGITS = 9


@dataclass(frozen=True)
class Promotion:
    """A promotion that was settled."""

    version: str
    number: int
    """From 1, in order."""
    at: str
    """UTC, ISO 8601."""
    by: str
    published: str
    """Address of the published release."""
    override: str | None
    """Why it was promoted although a gate failed."""
    line: tuple[str, ...]
    """The champions before it, the last one first; a return to one of them drops those after it."""

    @property
    def tag(self) -> tuple[str, str]:
        """Key and value of the record."""
        content = {key: value for key, value in asdict(self).items() if key not in ("version", "number")}
        return f"{PREFIX}{self.number:04d}", json.dumps(content, ensure_ascii=False)


def promotions(versions: Iterable[Any]) -> list[Promotion]:
    """Every promotion that is recorded on the given MLflow versions, the last one first; `torn` ones are left out."""
    found = [_read(version, key, version.tags[key]) for version in versions for key in _keys(version)]
    return sorted((one for one in found if one), key=lambda one: (one.number, int(one.version)), reverse=True)


def torn(version: Any) -> list[str]:
    """The tags of a version that are named as records and are none: somebody else has written there."""
    return [key for key in _keys(version) if _read(version, key, version.tags[key]) is None]


def number_in(text: str) -> int:
    """A decision's number; 0 where the text is none."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0


def _keys(version: Any) -> list[str]:
    return [key for key in version.tags if key.startswith(PREFIX) and key.removeprefix(PREFIX).isdecimal()]


def _read(version: Any, key: str, value: str) -> Promotion | None:
    number = number_in(key.removeprefix(PREFIX))
    try:
        content = json.loads(value)
        line = content.pop("line")
        promotion = Promotion(str(version.version), number, line=tuple(line), **content)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    words = (promotion.at, promotion.by, promotion.published, *promotion.line)
    whole = isinstance(line, list) and all(isinstance(word, str) for word in words)
    return promotion if number and whole and isinstance(promotion.override, str | None) else None


def in_effect(recorded: list[Promotion], last: int) -> Promotion | None:
    """The promotion whose version is champion; None where the last decision was another."""
    return recorded[0] if recorded and recorded[0].number >= last else None


def line_after(version: str, champion: Promotion | None) -> tuple[str, ...]:
    """The champions before `version` if it follows the present one, or returns to one before it."""
    if champion is None:
        return ()
    if version == champion.version:
        return champion.line
    if version in champion.line:
        return champion.line[champion.line.index(version) + 1 :]
    return (champion.version, *champion.line)[:_LONGEST_LINE]


def former(at: str | None, champion: Promotion | None, there: Iterable[str]) -> str | None:
    """The nearest champion before the one that the alias is at that still exists; at none, the last one on record.

    A promotion that nobody settled yet, of `at`, counts: before it is the champion on record.
    """
    if champion is None:
        return None
    if at is None:
        return champion.version
    existing = set(there)
    return next((one for one in line_after(at, champion) if one in existing), None)
