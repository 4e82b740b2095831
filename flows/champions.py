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
    """Every promotion that is recorded on the given MLflow versions, the last one first."""
    found = []
    for version in versions:
        for key, value in version.tags.items():
            number = key.removeprefix(PREFIX)
            if key.startswith(PREFIX) and number.isdecimal():
                content = json.loads(value)
                line = tuple(content.pop("line"))
                found.append(Promotion(str(version.version), int(number), line=line, **content))
    return sorted(found, key=lambda one: (one.number, int(one.version)), reverse=True)


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
