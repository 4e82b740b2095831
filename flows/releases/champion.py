"""Read the champion from MLflow's registry: the alias, the tags that record it, and earlier champions."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from flows.tracking.client import search_all

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
    """Every promotion that is recorded on the given MLflow versions, the last one first; damaged ones are left out."""
    found = [_read(version, key, version.tags[key]) for version in versions for key in _keys(version)]
    return sorted((one for one in found if one), key=lambda one: (one.number, int(one.version)), reverse=True)


def damaged_record(version: Any) -> list[str]:
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


ALIAS = "candidate"
CHAMPION = "champion"


def versions_of(client: Any, model: str) -> dict[str, Any]:
    """MLflow's versions of a model by number."""
    found = search_all(client.search_model_versions, f"name = '{model}'")
    return {str(version.version): version for version in found}


def champion_of(client: Any, model: str) -> str | None:
    """The version that the alias is at; None where it is at none, or there is no such model."""
    return _at(_model(client, model))


def _model(client: Any, name: str) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _at(model: Any | None) -> str | None:
    found = model.aliases.get(CHAMPION) if model else None
    return None if found is None else str(found)


@dataclass(frozen=True)
class RegistryState:
    """The registry as a pass finds it."""

    at: str | None
    """The version that the alias is at."""
    there: dict[str, Any]
    """MLflow's versions by number."""
    recorded: list[Promotion]
    """The last one first."""
    last: int
    """The number of the last decision."""

    @property
    def champion(self) -> Promotion | None:
        """The champion on record."""
        return in_effect(self.recorded, self.last)


def read_registry(client: Any, name: str) -> RegistryState:
    """Read the registry."""
    model = _model(client, name)
    there = versions_of(client, name)
    recorded = promotions(there.values())
    return RegistryState(_at(model), there, recorded, number_in(model.tags.get(LAST, "")) if model else 0)
