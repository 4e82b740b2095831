"""Reads `params.yaml`: unknown keys are named with the nearest known one, missing keys and broken bounds too."""

import difflib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hfi_core.errors import UserError, listed
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params.root import Params


def load_params(path: Path) -> Params:
    """Parse `params.yaml`.

    Raises UserError that names each unknown key with the nearest known one, each missing key and each broken bound.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: run this in a project's folder.")
    return parse_params(read_yaml(path), str(path))


def parse_params(raw: Any, where: str = "params.yaml") -> Params:
    """Parse the content of `params.yaml`; see `load_params`."""
    if not isinstance(raw, dict):
        kind = "nothing" if raw is None else type(raw).__name__
        raise UserError(f"{where} holds {kind} where a mapping of keys is expected.")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        details = error.errors()
        message = f"{where} is not valid:\n{listed([_sentence(detail) for detail in details], as_lines=True)}"
        if any(detail["type"] == "missing" for detail in details):
            message += "\n  After an upgrade of the package, `hfi params upgrade` says what to add."
        raise UserError(message) from error


def place_of(location: Sequence[str | int]) -> tuple[str | int, ...]:
    """Where in the file an error of pydantic's is: a removal's location holds its method, which is no key of it."""
    return tuple(part for n, part in enumerate(location) if not (n == 2 and location[0] == "removals"))


def spelled(place: Sequence[str | int]) -> str:
    """A place with dots."""
    return ".".join(map(str, place))


def _sentence(detail: dict[str, Any]) -> str:
    path = spelled(place_of(detail["loc"])) or "(top level)"
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(detail["loc"][-1]), sorted(_known_keys()), n=1)
        return f"{path}: unknown key" + (f"; did you mean `{near[0]}`?" if near else "")
    if detail["type"] == "missing":
        return f"{path}: missing key"
    shown = reprlib.repr(detail.get("input"))
    shown = "" if len(shown) > 80 else f" (is {shown})"
    return f"{path}: {detail['msg'].removeprefix('Value error, ')}{shown}"


def _known_keys() -> set[str]:
    keys: set[str] = set()
    for definition in (Params.model_json_schema(), *Params.model_json_schema()["$defs"].values()):
        keys |= set(definition.get("properties", {}))
    return keys
