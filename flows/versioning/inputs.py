"""Check that the inputs that no unit makes exist, and describe how to get a missing one."""

from collections.abc import Iterable
from pathlib import Path

from hfi_core.errors import UserError
from hfi_core.pipeline.graph import Unit, paths_overlap, stages_making


def require_external_inputs(units: Iterable[Unit], provided: Iterable[Path] = ()) -> None:
    """Raise UserError if an input that no unit makes (such as a real project's feedback) is missing.

    The caller itself makes the paths in `provided`.
    """
    outputs = list(provided)
    for unit in units:
        for path in unit.inputs.values():
            if not path.exists() and not any(paths_overlap(path, output) for output in outputs):
                raise UserError(describe_missing_input(unit, path))
        outputs += unit.outputs.values()


def dvc_file_of(path: Path) -> Path:
    """Return the path of the `.dvc` file with which DVC tracks a file or folder."""
    return path.with_name(f"{path.name}.dvc")


def describe_missing_input(unit: Unit, path: Path) -> str:
    """Return a message that names a missing input and says how to get it."""
    missing = f"{path} is missing, and {unit.address} reads it"
    if dvc_file_of(path).exists():
        return f"{missing}. To fetch it: `dvc pull {path}`."
    makers = [other for other in stages_making(path) if other]
    if makers:
        return f"{missing}. To make it: `hfi run --until {makers[0]}`."
    if path == unit.inputs.get("people"):
        return (
            f"{missing}. To fix this: `hfi human-evaluation collect NAME` writes what people said; or remove "
            "evaluate.people from params.yaml."
        )
    if unit.stage.name == "adopt":
        return f"{missing}. To import it: `hfi candidates import FOLDER --name {path.name}`."
    return (
        f"{missing}. To fix this: put it there and run `dvc add {path}`, or name another file in feedback.file of "
        "params.yaml."
    )
