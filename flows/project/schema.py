"""Generate the JSON Schemas of `params.yaml` and `operations.yaml`, with which editors complete and check them."""

import json
from pathlib import Path

from pydantic import BaseModel

from hfi_core.io.atomic import atomic_file
from hfi_core.params import Operations, Params, Science

SCHEMAS: dict[Path, type[BaseModel]] = {
    Path("docs/params.schema.json"): Science,
    Path("docs/operations.schema.json"): Operations,
}
"""The schema files of a project, with the part of the params that each describes."""


def schema_text(model: type[BaseModel] = Params) -> str:
    """Return the schema of a part of the params, by default of all, as indented JSON."""
    return json.dumps(model.model_json_schema(), indent=2) + "\n"


def write_schemas() -> dict[Path, bool]:
    """Write each schema file whose text differs; return for each file whether it was written."""
    return {path: _write(path, schema_text(model)) for path, model in SCHEMAS.items()}


def _write(path: Path, text: str) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True
