"""Compare the keys of a project's `params.yaml` with those of this version, and add the missing ones."""

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
from hfi_core.params.loading import dotted, key_path

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class MissingKey:
    """A key that this version requires and the file lacks."""

    key: KeyPath
    defaults: tuple[Any, ...]
    """The preset's value; empty if the preset has none."""

    @property
    def default_text(self) -> str:
        """The default as JSON, which is valid in the file."""
        return json.dumps(self.defaults[0]) if self.defaults else "no default"


@dataclass(frozen=True)
class KeyChanges:
    """Differences between the keys of a params file and those of this version."""

    missing: Sequence[MissingKey]
    removed: Sequence[KeyPath]

    def __bool__(self) -> bool:
        return bool(self.missing or self.removed)


def compare_keys(path: Path, preset: str | None = None) -> tuple[KeyChanges, str]:
    """Compare the keys of a params file with this version's; return the preset that the defaults are from, too.

    Raises UserError if the file is not a YAML mapping, or the preset is unknown.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path} is not a mapping of keys.")
    model = raw.get("model")
    preset = preset or presets.choose_preset(model.get("source") if isinstance(model, dict) else None)
    presets.require_known(preset)
    preset_values = presets.load_preset(preset).model_dump(mode="json")
    missing, removed = [], []
    try:
        Params.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors():
            key = key_path(detail["loc"])
            if detail["type"] == "missing":
                missing.append(MissingKey(key, _defaults(preset_values, key, raw)))
            elif detail["type"] == "extra_forbidden":
                removed.append(key)
    return KeyChanges(missing, removed), preset


def add_missing_keys(path: Path, missing: Sequence[MissingKey]) -> None:
    """Add missing keys with their defaults to the file; comments and all other keys stay.

    Raises UserError if the preset has no default for a key.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Representer that writes None as `null`, as the file does."""

    Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))
    unknown = [dotted(entry.key) for entry in missing if not entry.defaults]
    if unknown:
        raise UserError(f"{path} lacks {', '.join(unknown)}, for which the preset has no default: add it yourself.")
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(path.read_text(encoding="utf-8"))
    for entry in missing:
        parent = tree
        for part in entry.key[:-1]:
            parent = parent[part]
        # Never last: ruamel.yaml attaches the comment before the next section to a mapping's last key.
        parent.insert(max(0, len(parent) - 1), entry.key[-1], entry.defaults[0])
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)


def _defaults(preset: Mapping[str, Any], key: KeyPath, raw: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the preset's value of a key; below a name that the user chose, that of the preset's first name with it."""
    if key == ("candidates",) and isinstance(raw.get("concepts"), dict):
        (count, *_) = preset["candidates"]["drawn"].values()
        return ({"drawn": dict.fromkeys(raw["concepts"], count), "imported": {}},)
    values: list[Any] = [preset]
    for part in key:
        mappings = [value for value in values if isinstance(value, Mapping)]
        values = [mapping[part] for mapping in mappings if part in mapping]
        if not values:  # the user chose this name: take all names of the preset
            values = [value for mapping in mappings for value in mapping.values()]
    return tuple(values[:1])
