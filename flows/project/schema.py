"""Generate the JSON Schema of `params.yaml`, with which editors complete and check it."""

import json
from pathlib import Path

from hfi_core.io.atomic import atomic_file
from hfi_core.params import Params

SCHEMA = Path("docs/params.schema.json")


def schema_text() -> str:
    """Return the schema as indented JSON."""
    return json.dumps(Params.model_json_schema(), indent=2) + "\n"


def write_schema() -> bool:
    """Write `docs/params.schema.json` if its text differs; return whether it did."""
    if SCHEMA.exists() and SCHEMA.read_text(encoding="utf-8") == schema_text():
        return False
    with atomic_file(SCHEMA) as temporary:
        temporary.write_text(schema_text(), encoding="utf-8")
    return True
