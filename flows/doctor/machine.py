"""The checks of `hfi doctor`: programs, project, disk, device and model folders of this machine."""

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from flows.doctor.check import Finding
from flows.runtime.device import VARIABLE, with_local_device
from flows.tracking.relocation import RELOCATE, describe_move, find_old_folder
from flows.versioning.git import git_revision
from flows.versioning.pointer_recovery import describe_damage, find_damage
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError
from hfi_core.models.imported import require_fitting, require_pinned
from hfi_core.models.nudenet import find_detector
from hfi_core.models.weights import locate_pinned
from hfi_core.params import NUDENET, Imported, Params, load_params
from hfi_core.pipeline.layout import PARAMS

_MIN_DISK = 2 * 2**30
"""Bytes. A run of the embedded model takes about 0.5 GB; a larger model needs more."""
_PACKAGES = ("torch", "diffusers", "transformers", "prefect", "mlflow", "dvc")


def check_machine(deep: bool = False) -> Iterator[Finding]:
    """Yield the findings on one thing after the other; `deep` tries each connection, too."""
    python = platform.python_version()
    yield Finding("Python", sys.version_info >= (3, 11), python, "Python 3.11 or newer is needed.")
    yield Finding("packages", True, ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    yield _check_command("git", "Install git.")
    yield _check_command("hfi", "`source .venv/bin/activate`: `dvc repro` calls `hfi` by its name.", needed=False)
    yield Finding(
        "git commit", git_revision()[0] != "none", git_revision()[0], "`git init`, then commit.", needed=False
    )
    yield _check_pointers()
    yield _check_dvc()
    free = shutil.disk_usage(Path()).free
    yield Finding(
        "disk", free >= _MIN_DISK, f"{free / 2**30:.1f} GiB free", "Free some space: at least 2 GiB are needed."
    )
    try:
        params = load_params(PARAMS)
    except UserError as error:
        yield Finding("params", False, str(error), "Correct params.yaml; `hfi params schema` prints what is expected.")
        return
    yield Finding("params", True, f"{PARAMS} is valid")
    if old := find_old_folder(params):
        yield Finding("project folder", False, describe_move(old), RELOCATE)
    yield (device := _check_device(params))
    if device.ok:
        yield _check_precision(params)
    yield _check_weights("model", params.model, "model")
    yield _check_weights("clip", params.clip, "clip")
    yield _check_judge(params)
    for crowd in params.feedback.simulated.values():
        yield _check_weights("annotators", crowd, "annotators")
    for row, spec in params.removals.items():
        if isinstance(spec, Imported):
            yield _check_imported(row, spec, params)
    if deep:
        from flows.doctor import connections

        yield from connections(params)


def _check_command(name: str, remedy: str, needed: bool = True) -> Finding:
    path = shutil.which(name)
    return Finding(name, path is not None, path or "not on the PATH", remedy, needed)


def _check_pointers() -> Finding:
    """Return whether DVC's own files are whole: a kill while DVC writes one cuts it off."""
    damaged = [describe_damage(path, condition) for path, condition in find_damage()]
    message = "\n".join(damaged) or "dvc.lock and the .dvc files are whole"
    return Finding("DVC files", not damaged, message, "`hfi status` restores a file that has a copy in .hfi/pointers.")


def _check_dvc() -> Finding:
    try:
        with open_repository():
            pass
    except UserError as error:
        return Finding("DVC project", False, str(error), "`git init && dvc init`, then `hfi params sync`.")
    return Finding("DVC project", True, "this folder is a DVC project")


def _check_device(params: Params) -> Finding:
    import torch

    try:
        name = with_local_device(params).compute.device
    except UserError as error:
        return Finding("device", False, str(error), f"`export {VARIABLE}=cpu`, or unset it.")
    kind = name.partition(":")[0]
    available = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}[kind]()
    other = f" ({VARIABLE}; compute.device is {params.compute.device})" if name != params.compute.device else ""
    return Finding(
        "device", available, f"{name}{other}",
        f"torch finds no {kind} on this machine: repair the driver, or `export {VARIABLE}=cpu` to compute without it.",
    )  # fmt: skip


def _check_precision(params: Params) -> Finding:
    """Note a precision for which the processor has no instructions: nothing fails, and a run takes a day."""
    from hfi_core.compute.device import device_of, dtype_of, has_instructions

    compute = with_local_device(params).compute
    fast = has_instructions(device_of(compute), dtype_of(compute))
    slow = f"{compute.dtype}, for which this processor has no instructions: a run takes six times as long, or longer"
    return Finding(
        "precision", fast, compute.dtype if fast else slow,
        "Set compute.dtype to float32 in params.yaml, or compute on another machine.", needed=False,
    )  # fmt: skip


def _check_weights(name: str, source, part) -> Finding:
    try:
        folder = locate_pinned(source.source, source.revision, source.digest, part)
    except UserError as error:
        return Finding(
            name, False, str(error), "If other weights are meant, correct the source; `hfi params pin` pins them."
        )
    return Finding(name, True, f"{folder} is what params.yaml pins")


def _check_judge(params: Params) -> Finding:
    """Check the judge's weights; those of NudeNet are in its package."""
    if params.evaluate.judge.kind != NUDENET:
        return _check_weights("judge", params.evaluate.judge, "judge")
    try:
        path = find_detector(params.evaluate.judge.digest)
    except UserError as error:
        return Finding("judge", False, str(error), "If this is the detector that is meant, `hfi params pin` pins it.")
    return Finding("judge", True, f"{path} is what params.yaml pins")


def _check_imported(row: str, spec: Imported, params: Params) -> Finding:
    name = f"row {row}"
    try:
        base = locate_pinned(params.model.source, params.model.revision, params.model.digest, "model")
        path = require_pinned(row, spec)
        require_fitting(row, spec, base)
    except UserError as error:
        return Finding(
            name, False, str(error), "If other weights are meant, correct the source; `hfi params pin` pins them."
        )
    return Finding(name, True, f"{path} is what params.yaml pins, and fits the base")
