"""Read and validate `params.yaml`. An error names each wrong key; for an unknown key it names the nearest known one."""

import difflib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hfi_core.errors import UserError, listed
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params.root import Params


def load_params(path: Path | str) -> Params:
    """Read and validate `params.yaml`.

    Raises UserError, which names each unknown key with the nearest known one, each missing key and each value that is
    out of bounds.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} is missing. To fix this: run the command in a project's folder.")
    return parse_params(read_yaml(path), str(path))


def parse_params(raw: Any, where: str = "params.yaml") -> Params:
    """Validate the content of `params.yaml`, as `load_params` does."""
    if not isinstance(raw, dict):
        kind = "nothing" if raw is None else type(raw).__name__
        raise UserError(f"{where} contains {kind}; a mapping of keys is expected.")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        details = error.errors()
        message = f"{where} is not valid:\n{listed([_describe(detail) for detail in details], as_lines=True)}"
        if any(detail["type"] == "missing" for detail in details):
            message += "\n  After an upgrade of the package, `hfi params upgrade` lists what to add."
        raise UserError(message) from error


def key_path(location: Sequence[str | int]) -> tuple[str | int, ...]:
    """Return the keys in the file that lead to a pydantic error.

    The location of a removal's error contains its method, which is not a key in the file.
    """
    return tuple(part for n, part in enumerate(location) if not (n == 2 and location[0] == "removals"))


def dotted(keys: Sequence[str | int]) -> str:
    """Join keys with dots."""
    return ".".join(map(str, keys))


def _describe(detail: dict[str, Any]) -> str:
    path = dotted(key_path(detail["loc"])) or "(top level)"
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(detail["loc"][-1]), sorted(_known_keys()), n=1)
        return f"{path}: unknown key" + (f"; did you mean `{near[0]}`?" if near else "")
    if detail["type"] == "missing":
        return f"{path}: missing key"
    value = reprlib.repr(detail.get("input"))
    quoted = "" if len(value) > 80 else f" (is {value})"
    return f"{path}: {detail['msg'].removeprefix('Value error, ')}{quoted}"


def _known_keys() -> set[str]:
    keys: set[str] = set()
    for definition in (Params.model_json_schema(), *Params.model_json_schema()["$defs"].values()):
        keys |= set(definition.get("properties", {}))
    return keys
