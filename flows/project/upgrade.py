"""Compare a project's `params.yaml` and `operations.yaml` with this version; move sections and add missing keys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flows.project import presets
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_file
from hfi_core.params import Operations, Params
from hfi_core.params.loading import dotted, key_path, read_sections
from hfi_core.pipeline.layout import OPERATIONS

KeyPath = tuple[str | int, ...]

_HEADER = """\
# yaml-language-server: $schema=docs/operations.schema.json
# How the project is operated: no result depends on it. `hfi params schema` says what each key means.
"""


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
    """Differences between the keys of a project's settings and those of this version."""

    missing: Sequence[MissingKey]
    removed: Sequence[KeyPath]
    moved: Sequence[str] = ()
    """Sections of `params.yaml` that belong in `operations.yaml`."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.removed or self.moved)


def compare_keys(path: Path, preset: str | None = None) -> tuple[KeyChanges, str]:
    """Compare the keys of `params.yaml`, and of `operations.yaml` beside it, with those of this version.

    Returns the changes, and the preset that the defaults are from.

    Raises UserError if a file is not a YAML mapping, or the preset is unknown.
    """
    science, operations = read_sections(path)
    moved = [key for key in science if key in Operations.model_fields]
    raw = science | operations
    model = raw.get("model")
    preset = preset or presets.choose_preset(model.get("source") if isinstance(model, dict) else None)
    presets.require_known(preset)
    preset_values = presets.load_preset(preset).model_dump(mode="json")
    missing, removed = [], []
    try:
        Params.model_validate(raw, context={"folder": path.parent})
    except ValidationError as error:
        for detail in error.errors():
            key = key_path(detail["loc"])
            if detail["type"] == "missing":
                missing.append(MissingKey(key, _defaults(preset_values, key, raw)))
            elif detail["type"] == "extra_forbidden":
                removed.append(key)
    return KeyChanges(missing, removed, moved), preset


def move_sections(path: Path, moved: Sequence[str]) -> None:
    """Move sections from `params.yaml` to `operations.yaml` beside it, each with its comments, byte for byte.

    A section that is equal in both files is removed from `params.yaml`.

    Raises UserError, with nothing written, if a section has other content in both files, or if the files would not have
    the same content after the move (a section that uses an anchor of another one).
    """
    if not moved:
        return
    beside = path.with_name(OPERATIONS.name)
    science, operations = read_sections(path)
    if different := [key for key in moved if key in operations and operations[key] != science[key]]:
        raise UserError(
            f"{path} and {beside} hold {', '.join(different)} with other values. To fix this: correct {beside}, and "
            f"remove the section from {path}."
        )
    blocks = _split_sections(path.read_text(encoding="utf-8"))
    stay = "".join(text for key, text in blocks if key not in moved)
    go = [text.strip("\n") for key, text in blocks if key in moved and key not in operations]
    earlier = beside.read_text(encoding="utf-8") if beside.exists() else _HEADER
    joined = earlier.rstrip("\n") + "\n" + ("\n" if operations else "") + "\n\n".join(go) + "\n" if go else earlier
    try:
        parts: list[Any] = [yaml.safe_load(stay) or {}, yaml.safe_load(joined) or {}]
    except yaml.YAMLError:
        parts = []
    if parts != [
        {key: science[key] for key in science if key not in moved},
        {k: science[k] for k in moved} | operations,
    ]:
        raise UserError(
            f"{', '.join(moved)} cannot be moved from {path} to {beside} by program, because of how the file is "
            "written (anchors, or sections in one line). To fix this: move these sections yourself."
        )
    # operations.yaml first: if this stops half-way, each section is still in one of the files at least.
    for file, text in ((beside, joined), (path, stay.rstrip("\n") + "\n")):
        with atomic_file(file) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _split_sections(text: str) -> list[tuple[str, str]]:
    """Split the text of a YAML mapping into (top-level key, lines); comments right above a key belong to it."""
    lines = text.splitlines(keepends=True)
    node = yaml.compose(text, yaml.SafeLoader)
    starts = []
    for number, (key, _) in enumerate(node.value if isinstance(node, yaml.MappingNode) else []):
        start = key.start_mark.line
        while number and lines[start - 1].startswith("#"):
            start -= 1
        starts.append((key.value, start if number else 0))
    ends = [start for _, start in starts[1:]] + [len(lines)]
    return [(key, "".join(lines[start:end])) for (key, start), end in zip(starts, ends, strict=True)]


def add_missing_keys(path: Path, missing: Sequence[MissingKey]) -> None:
    """Add missing keys with their defaults to the file that each belongs in; comments and all other keys stay.

    Raises UserError if the preset has no default for a key.
    """
    unknown = [dotted(entry.key) for entry in missing if not entry.defaults]
    if unknown:
        raise UserError(f"{path} lacks {', '.join(unknown)}, for which the preset has no default: add it yourself.")
    operations = [entry for entry in missing if entry.key[0] in Operations.model_fields]
    beside = path.with_name(OPERATIONS.name)
    if operations:
        _insert_keys(beside, beside.read_text(encoding="utf-8") if beside.exists() else _HEADER, operations)
    if science := [entry for entry in missing if entry not in operations]:
        _insert_keys(path, path.read_text(encoding="utf-8"), science)


def _insert_keys(path: Path, text: str, missing: Sequence[MissingKey]) -> None:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Representer that writes None as `null`, as the file does."""

    Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    prefix = text if tree is None else ""
    tree = CommentedMap() if tree is None else tree
    for entry in missing:
        parent = tree
        for part in entry.key[:-1]:
            parent = parent[part]
        # Never last: ruamel.yaml attaches the comment before the next section to a mapping's last key.
        parent.insert(max(0, len(parent) - 1), entry.key[-1], entry.defaults[0])
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(prefix)
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
