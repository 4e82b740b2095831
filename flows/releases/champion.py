"""Read the champion from MLflow's registry: the alias, the tags that record it, and earlier champions."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from flows.tracking.client import search_all

CANDIDATE = "candidate"
"""Alias of the version that was registered last."""
CHAMPION = "champion"
"""Alias of the version that people promoted."""
PREFIX = "promotion."
"""Begins the key of a tag of a version that records a promotion; its number follows."""
LAST = "promotion.last"
"""Tag of the registered model: the number of the last decision. To have no champion any more is a decision, too."""
_MAX_PREDECESSORS = 50
_MAX_DIGITS = 9


@dataclass(frozen=True)
class Promotion:
    """A promotion, as it is recorded in a tag of the version."""

    version: str
    number: int
    """Position in the order of all decisions, from 1."""
    at: str
    """UTC, ISO 8601."""
    by: str
    """Who approved it."""
    published: str
    """Address of the published release."""
    override: str | None
    """Why it was promoted although a gate failed."""
    line: tuple[str, ...]
    """The champions before it, the most recent one first. A return to one of them drops those after it."""

    @property
    def tag(self) -> tuple[str, str]:
        """Return key and value of the record."""
        content = {key: value for key, value in asdict(self).items() if key not in ("version", "number")}
        return f"{PREFIX}{self.number:04d}", json.dumps(content, ensure_ascii=False)


@dataclass(frozen=True)
class RegistryState:
    """The alias, the versions and the records of a model when they were read."""

    alias: str | None
    """The version that the alias `champion` points at."""
    versions: dict[str, Any]
    """MLflow's versions by number."""
    records: list[Promotion]
    """The most recent one first."""
    last_decision: int
    """Number of the last decision; 0 before the first one."""
    misspelt: tuple[str, ...] = ()
    """Aliases that somebody may take for `champion`."""

    @property
    def champion(self) -> Promotion | None:
        """Return the promotion of the champion on record; None if the last decision was to have no champion."""
        return self.records[0] if self.records and self.records[0].number >= self.last_decision else None

    @property
    def undecided(self) -> Any | None:
        """Return the version that the alias points at, if it exists and is not the champion on record."""
        is_recorded = self.champion is not None and self.champion.version == self.alias
        return None if self.alias is None or is_recorded else self.versions.get(self.alias)


def read_registry(client: Any, name: str) -> RegistryState:
    """Read the alias, the versions and the records of a model."""
    model = _read_model(client, name)
    versions = read_versions(client, name)
    last_decision = parse_number(model.tags.get(LAST, "")) if model else 0
    misspelt = tuple(alias for alias in (model.aliases if model else ()) if _is_misspelt(alias))
    return RegistryState(_alias_of(model), versions, read_promotions(versions.values()), last_decision, misspelt)


def _is_misspelt(alias: str) -> bool:
    return alias != CHAMPION and alias.strip().casefold() == CHAMPION


def read_versions(client: Any, model: str) -> dict[str, Any]:
    """Return MLflow's versions of a model by number."""
    return {str(version.version): version for version in search_all(client.search_model_versions, f"name = '{model}'")}


def read_champion(client: Any, model: str) -> str | None:
    """Return the version that the alias `champion` points at; None if it is not set, or the model does not exist."""
    return _alias_of(_read_model(client, model))


def _read_model(client: Any, name: str) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _alias_of(model: Any | None) -> str | None:
    version = model.aliases.get(CHAMPION) if model else None
    return None if version is None else str(version)


def read_promotions(versions: Iterable[Any]) -> list[Promotion]:
    """Return every promotion that the given MLflow versions record, the most recent first, without damaged records."""
    promotions = [_parse(version, key, version.tags[key]) for version in versions for key in _record_keys(version)]
    return sorted(
        (promotion for promotion in promotions if promotion),
        key=lambda promotion: (promotion.number, int(promotion.version)),
        reverse=True,
    )


def find_damaged_records(version: Any) -> list[str]:
    """Return the tags of a version that have the name of a record and another content: somebody else wrote them."""
    return [key for key in _record_keys(version) if _parse(version, key, version.tags[key]) is None]


def parse_number(text: str) -> int:
    """Return a decision's number; 0 if the text is not a valid one."""
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else 0


def _record_keys(version: Any) -> list[str]:
    return [key for key in version.tags if key.startswith(PREFIX) and key.removeprefix(PREFIX).isdecimal()]


def _parse(version: Any, key: str, value: str) -> Promotion | None:
    number = parse_number(key.removeprefix(PREFIX))
    try:
        content = json.loads(value)
        line = content.pop("line")
        promotion = Promotion(str(version.version), number, line=tuple(line), **content)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    texts = (promotion.at, promotion.by, promotion.published, *promotion.line)
    valid = isinstance(line, list) and all(isinstance(text, str) for text in texts)
    return promotion if number and valid and isinstance(promotion.override, str | None) else None


def predecessors_of(version: str, champion: Promotion | None) -> tuple[str, ...]:
    """Return the champions before `version` if it follows the present champion, or returns to an earlier one."""
    if champion is None:
        return ()
    if version == champion.version:
        return champion.line
    if version in champion.line:
        return champion.line[champion.line.index(version) + 1 :]
    return (champion.version, *champion.line)[:_MAX_PREDECESSORS]


def find_previous_champion(state: RegistryState) -> str | None:
    """Return the most recent previous champion whose version still exists.

    If the alias is not set, that is the last recorded champion. If the alias is at a version that no pass has decided
    on yet, that is the champion on record.
    """
    if not state.records:
        return None
    last = state.records[0]
    if state.alias is None:
        return last.version
    return next((version for version in predecessors_of(state.alias, last) if version in state.versions), None)
