"""Read `prefect.yaml`: its deployments, and entry points that an earlier version of the project has in it."""

from pathlib import Path
from typing import Any

from hfi_core.io.yaml_files import read_yaml

PREFECT_YAML = Path("prefect.yaml")

RENAMED_ENTRYPOINTS = {
    "flows.tending.tend": "flows.maintenance.tend",
    "flows.promotion_flow.promotions": "flows.promotions.promotions",
    "flows.reevaluation_flow.reevaluate": "flows.reevaluation.reevaluate",
}
"""Entry points of earlier versions, with their present names."""


def read_entries() -> list[Any]:
    """Return the list of deployments in `prefect.yaml`, unchecked; an empty list if there is no file or no list.

    Raises UserError if the file cannot be read.
    """
    content = read_yaml(PREFECT_YAML) if PREFECT_YAML.exists() else None
    entries = content.get("deployments") if isinstance(content, dict) else None
    return entries if isinstance(entries, list) else []


def describe_renamed_entrypoints() -> list[str]:
    """Return one line for each deployment whose entry point has a new name, with the old and the new one.

    Raises UserError as `read_entries` does.
    """
    return [
        f"{PREFECT_YAML}: deployment {entry.get('name')!r} has the entry point {old}; write {RENAMED_ENTRYPOINTS[old]}"
        for entry in read_entries()
        if isinstance(entry, dict) and (old := entry.get("entrypoint")) in RENAMED_ENTRYPOINTS
    ]
