"""What changed in params since a project's `params.yaml` was written: keys that are missing, and keys that are gone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.project import presets
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params import Params
from hfi_core.params.loading import place_of, spelled

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class MissingKey:
    """A key that this version asks for."""

    place: KeyPath
    defaults: tuple[Any, ...]
    """The preset's value, or nothing where the preset has none."""

    @property
    def spelled(self) -> str:
        """The default as it may stand in the file."""
        return json.dumps(self.defaults[0]) if self.defaults else "no default"


@dataclass(frozen=True)
class KeyChanges:
    """What this version and a params file disagree about, besides values."""

    missing: Sequence[MissingKey]
    gone: Sequence[KeyPath]

    def __bool__(self) -> bool:
        return bool(self.missing or self.gone)


def compare_keys(path: Path, preset: str | None = None) -> tuple[KeyChanges, str]:
    """Compare a params file with this version; also the preset that the defaults are from.

    Raises UserError for a file that is no YAML mapping, or an unknown preset.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path} holds no mapping of keys.")
    model = raw.get("model")
    preset = preset or presets.choose_preset(model.get("source") if isinstance(model, dict) else None)
    presets.require_known(preset)
    preset_values = presets.load_preset(preset).model_dump(mode="json")
    missing, gone = [], []
    try:
        Params.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors():
            place = place_of(detail["loc"])
            if detail["type"] == "missing":
                missing.append(MissingKey(place, _defaults(preset_values, place, raw)))
            elif detail["type"] == "extra_forbidden":
                gone.append(place)
    return KeyChanges(missing, gone), preset


def add_missing_keys(path: Path, missing: Sequence[MissingKey]) -> None:
    """Write the defaults into the file, comments kept; nothing is taken out of it.

    Raises UserError for a key that the preset has no default for.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes `null` as the file does."""

    Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))
    unknown = [spelled(one.place) for one in missing if not one.defaults]
    if unknown:
        raise UserError(f"{path} lacks {', '.join(unknown)}, which the preset does not say: add it yourself.")
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(path.read_text(encoding="utf-8"))
    for one in missing:
        parent = tree
        for part in one.place[:-1]:
            parent = parent[part]
        # Never last: what is written after a mapping's last key, a comment on the next one too, belongs to that key.
        parent.insert(max(0, len(parent) - 1), one.place[-1], one.defaults[0])
    with atomic_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)


def _defaults(preset: Mapping[str, Any], place: KeyPath, raw: Mapping[str, Any]) -> tuple[Any, ...]:
    """The preset's value at a place; where a name of the user's is on the way, that of the first one which has it."""
    if place == ("candidates",) and isinstance(raw.get("concepts"), dict):
        (count, *_) = preset["candidates"]["drawn"].values()
        return ({"drawn": dict.fromkeys(raw["concepts"], count), "imported": {}},)
    found: list[Any] = [preset]
    for part in place:
        inner = [value for value in found if isinstance(value, Mapping)]
        found = [value[part] for value in inner if part in value]
        if not found:  # a name: every one of the preset's
            found = [value for one in inner for value in one.values()]
    return tuple(found[:1])
