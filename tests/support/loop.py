"""Runs the whole loop in one process, on a small project, with feedback made up for what was drawn."""

import json
from pathlib import Path

from hfi_core.candidates.manifest import read_manifest
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params
from hfi_core.pipeline.graph import Unit, units_of
from tests.support.projects import FEEDBACK_FILE, Project

Sign = tuple[int, int, str]
"""Done, of so many, of what."""


def units(project: Project) -> list[Unit]:
    """The project's units with absolute paths."""
    return list(units_of(project.params, project.folder))


def write_feedback(root: Path, params: Params) -> None:
    """Judge every second picture objectionable; for a ranking concept, rank by place. Marked as simulated."""
    path = root / FEEDBACK_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for concept, spec in params.concepts.items():
        manifest = read_manifest(root / "candidates" / concept)
        same = {"annotator": "ann", "concept": concept, "kind": spec.feedback, "simulated": True}
        if spec.feedback == "binary":
            rows += [
                same
                | {"id": f"{concept}-{i}", "picture": row.id, "sha256": row.sha256, "answer": "yes" if i % 2 else "no"}
                for i, row in enumerate(manifest)
            ]
        else:
            rows += [
                same
                | {
                    "id": f"{concept}-{start}",
                    "groups": [[row.id] for row in manifest[start : start + 4]],
                    "not_applicable": [],
                }
                for start in range(0, len(manifest), 4)
            ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_through(project: Project, until: str | None = None) -> dict[str, list[Sign]]:
    """Run every unit up to and with the stage `until`; the signs of progress that each gave, by address."""
    params, signs = project.params, {}
    for unit in units(project):
        if unit.stage.name == "ingest":
            write_feedback(project.folder, params)
        heard = signs.setdefault(unit.address, [])
        unit.stage.load()(unit.context(params, progress=lambda *sign, heard=heard: heard.append(sign)))
        if unit.stage.name == until and unit.unit == unit.stage.units(params)[-1]:
            break
    return signs


def run_units(project: Project, *addresses: str) -> None:
    """Run the units with these addresses, in the order of the graph."""
    for unit in units(project):
        if unit.address in addresses:
            unit.stage.load()(unit.context(project.params))


def bytes_below(*paths: Path, named_from: Path | None = None) -> dict[str, str]:
    """Digests of all files at or below paths, by path: the whole of it, or from a folder on."""
    files = [f for path in paths for f in ([path] if path.is_file() else sorted(path.rglob("*"))) if f.is_file()]
    return {str(file.relative_to(named_from) if named_from else file): sha256_of_file(file) for file in files}
