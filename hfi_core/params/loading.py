"""Read and validate `params.yaml` and `operations.yaml`.

An error names each wrong key; for an unknown key it names the nearest known one.
"""

import difflib
import reprlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hfi_core.errors import UserError, listed
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params.attacks import BUILT_IN_KINDS
from hfi_core.params.erasure import BUILT_IN_METHODS
from hfi_core.params.operations import OPERATIONS_FILE, Operations
from hfi_core.params.root import Params, Science

_MAX_DESCRIBED = 20


def load_params(path: Path | str) -> Params:
    """Read and validate `params.yaml`, the `operations.yaml` beside it, and the files of prompts that it names.

    Raises UserError, which names each unknown key with the nearest known one, each missing key, each value that is
    out of bounds, and each section in the wrong file.
    """
    path = Path(path)
    science, operations = read_sections(path)
    require_right_file(path, science, operations)
    return parse_params(science | operations, str(path), path.parent)


def read_sections(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the content of `params.yaml`, and of the `operations.yaml` beside it (empty if there is none).

    Raises UserError if `params.yaml` is missing, or one of the files is not a YAML mapping.
    """
    if not path.exists():
        raise UserError(f"{path} is missing. To fix this: run the command in a project's folder.")
    beside = path.with_name(OPERATIONS_FILE)
    return _read_mapping(path), _read_mapping(beside) if beside.exists() else {}


def require_right_file(path: Path, science: Mapping[str, Any], operations: Mapping[str, Any]) -> None:
    """Raise UserError if a section is in both files or in the wrong one; the message says where it belongs."""
    beside = path.with_name(OPERATIONS_FILE)
    if moved := [key for key in science if key in Operations.model_fields]:
        both = [key for key in moved if key in operations]
        raise UserError(
            f"{path} holds {', '.join(moved)}: {'this section belongs' if len(moved) == 1 else 'these sections belong'}"
            f" in {beside}" + (f", which holds {', '.join(both)}, too" if both else "") + ". To fix this: run "
            "`hfi params upgrade --write`, which moves what belongs there."
        )
    if foreign := [key for key in operations if key in Science.model_fields]:
        raise UserError(f"{beside} holds {', '.join(foreign)}, which belongs in {path}. To fix this: move it there.")


def parse_params(raw: Any, where: str = "params.yaml", folder: Path = Path()) -> Params:
    """Validate the content of `params.yaml` and `operations.yaml`, merged, as `load_params` does.

    Args:
        where: what an error calls the content.
        folder: the folder that the paths of files of prompts are relative to.
    """
    raw = _require_mapping(raw, where)
    try:
        return Params.model_validate(raw, context={"folder": folder})
    except ValidationError as error:
        details = error.errors()
        described = [_describe(detail) for detail in details[:_MAX_DESCRIBED]]
        message = f"{where} is not valid:\n{listed(described, total=len(details), as_lines=True)}"
        if any(detail["type"] == "missing" for detail in details):
            message += "\n  After an upgrade of the package, `hfi params upgrade` lists what to add."
        raise UserError(message) from error


def _read_mapping(path: Path) -> dict[str, Any]:
    return _require_mapping(read_yaml(path), str(path))


def _require_mapping(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        kind = "nothing" if raw is None else type(raw).__name__
        raise UserError(f"{where} contains {kind}; a mapping of keys is expected.")
    return raw


def key_path(location: Sequence[str | int]) -> tuple[str | int, ...]:
    """Return the keys in the file that lead to a pydantic error.

    The location of an error in one of our removals or attacks contains its method or kind, which is not a key in the
    file.
    """
    tags = _TAGS.get(location[0], frozenset()) if location else frozenset()
    return tuple(part for n, part in enumerate(location) if not (n == 2 and part in tags))


_TAGS: Mapping[str | int, frozenset[str]] = {"removals": BUILT_IN_METHODS, "attacks": BUILT_IN_KINDS}


def dotted(keys: Sequence[str | int]) -> str:
    """Join keys with dots."""
    return ".".join(map(str, keys))


def _describe(detail: ErrorDetails) -> str:
    path = dotted(key_path(detail["loc"])) or "(top level)"
    if path.split(".")[0] in Operations.model_fields:
        path = f"{OPERATIONS_FILE}: {path}"
    if detail["type"] == "extra_forbidden":
        unknown = str(detail["loc"][-1])  # another section may know it
        near = difflib.get_close_matches(unknown, [key for key in _known_keys() if key != unknown], n=1)
        return f"{path}: unknown key" + (f"; did you mean `{near[0]}`?" if near else "")
    if detail["type"] == "missing":
        return f"{path}: missing key"
    if detail["type"] == "union_tag_not_found":
        tag = detail["ctx"]["discriminator"].strip("'")
        return f"{path}.{tag}: missing key"
    value = reprlib.repr(detail.get("input"))
    quoted = "" if len(value) > 80 else f" (is {value})"
    return f"{path}: {detail['msg'].removeprefix('Value error, ')}{quoted}"


@cache
def _known_keys() -> list[str]:
    keys: set[str] = set()
    for definition in (Params.model_json_schema(), *Params.model_json_schema()["$defs"].values()):
        keys |= set(definition.get("properties", {}))
    return sorted(keys)
