"""The checks of `hfi doctor`."""

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from flows.doctor.check import Finding
from flows.runtime.device import VARIABLE, with_local_device
from flows.versioning.git import git_revision
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError
from hfi_core.models.weights import checked
from hfi_core.params import Params, load_params
from hfi_core.pipeline.layout import PARAMS

_LEAST_DISK = 2 * 2**30
"""Bytes: a run of the embedded model takes about 0.5 GB; a larger model needs more."""
_PACKAGES = ("torch", "diffusers", "transformers", "prefect", "mlflow", "dvc")


def findings(deep: bool = False) -> Iterator[Finding]:
    """Look at one thing after the other; `deep` tries each connection, too."""
    python = platform.python_version()
    yield Finding("Python", sys.version_info >= (3, 11), python, "Python 3.11 or newer is needed.")
    yield Finding("packages", True, ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    yield _command("git", "Install git.")
    yield _command("hfi", "`source .venv/bin/activate`: `dvc repro` calls `hfi` by its name.", needed=False)
    yield Finding(
        "git commit", git_revision()[0] != "none", git_revision()[0], "`git init`, then commit.", needed=False
    )
    yield _dvc()
    free = shutil.disk_usage(Path()).free
    yield Finding("disk", free >= _LEAST_DISK, f"{free / 2**30:.1f} GiB free", "Free some space: 2 GiB at least.")
    try:
        params = load_params(PARAMS)
    except UserError as error:
        yield Finding("params", False, str(error), "Mend params.yaml; `hfi params schema` says what is expected.")
        return
    yield Finding("params", True, f"{PARAMS} is valid")
    yield _device(params)
    yield _weights("model", params.model, "model")
    yield _weights("clip", params.clip, "clip")
    yield _weights("judge", params.evaluate.judge, "judge")
    if deep:
        from flows.doctor import connections

        yield from connections(params)


def _command(name: str, remedy: str, needed: bool = True) -> Finding:
    path = shutil.which(name)
    return Finding(name, path is not None, path or "not on the PATH", remedy, needed)


def _dvc() -> Finding:
    try:
        with open_repository():
            pass
    except UserError as error:
        return Finding("DVC project", False, str(error), "`git init && dvc init`, then `hfi params sync`.")
    return Finding("DVC project", True, "here")


def _device(params: Params) -> Finding:
    import torch

    try:
        name = with_local_device(params).compute.device
    except UserError as error:
        return Finding("device", False, str(error), f"`export {VARIABLE}=cpu`, or unset it.")
    kind = name.partition(":")[0]
    there = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}[kind]()
    other = f" ({VARIABLE}; compute.device is {params.compute.device})" if name != params.compute.device else ""
    return Finding(
        "device", there, f"{name}{other}",
        f"torch finds no {kind} here: mend the driver, or `export {VARIABLE}=cpu`, which computes without.",
    )  # fmt: skip


def _weights(name: str, source, part) -> Finding:
    try:
        folder = checked(source.source, source.revision, source.digest, part)
    except UserError as error:
        return Finding(name, False, str(error), "See above; `hfi params pin` accepts the weights that are there.")
    return Finding(name, True, f"{folder} is what params.yaml pins")
