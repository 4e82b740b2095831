"""Inputs that no unit makes: which are missing, and what brings them."""

from collections.abc import Iterable
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.pipeline.graph import Unit, paths_overlap, stages_making


def require_external_inputs(units: Iterable[Unit], ours: Iterable[Path] = ()) -> None:
    """Raise UserError if a file that no unit makes (the feedback of a real project) is missing, but for `ours`."""
    made = list(ours)
    for unit in units:
        for path in unit.inputs.values():
            if not path.exists() and not any(paths_overlap(path, output) for output in made):
                raise UserError(describe_missing_input(unit, path))
        made += unit.outputs.values()


def dvc_file_of(path: Path) -> Path:
    """DVC's file beside a file or folder that it tracks by itself."""
    return path.with_name(f"{path.name}.dvc")


def describe_missing_input(unit: Unit, path: Path) -> str:
    """What to tell about a missing input and how to mend it."""
    if dvc_file_of(path).exists():
        return f"{path} is missing, and {unit.address} reads it: `dvc pull {path}` brings it."
    makers = [other for other in stages_making(path) if other]
    if makers:
        return f"{path} is missing, and {unit.address} reads it: `hfi run --until {makers[0]}` makes it."
    if unit.stage.over == "candidates.imported":
        return f"{path} is missing, and {unit.address} reads it: `hfi candidates import FOLDER --name {path.name}`."
    return (
        f"{path} is missing, and {unit.address} reads it. Put it there and `dvc add {path}`, "
        "or name another file in feedback.file of params.yaml."
    )
