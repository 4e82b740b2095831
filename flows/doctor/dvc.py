"""Do DVC's remotes answer, with the credentials that DVC uses?"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.doctor.check import SECONDS, Finding, with_timeout
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError
from hfi_core.params import Params


def check(params: Params) -> Iterator[Finding]:
    """One finding a remote, and one where params name a remote that there is not."""
    try:
        with open_repository() as repo:
            config = repo.config
    except UserError:  # the doctor has said so already
        return
    wanted = params.versioning.push
    if wanted and wanted not in config["remote"]:
        yield Finding(
            f"DVC remote {wanted}", False, "versioning.push names it, DVC's configuration does not",
            f"`dvc remote add {wanted} ADDRESS`, or correct versioning.push in params.yaml.",
        )  # fmt: skip
    if not config["remote"]:
        yield Finding("DVC remotes", True, "none: the data is only here")
    for name in config["remote"]:
        yield from with_timeout(f"DVC remote {name}", _remedy(name), lambda name=name: _ask(config, name))


def _ask(config: Any, name: str) -> Iterator[Finding]:
    from dvc.fs import get_cloud_fs

    kind, settings, path = get_cloud_fs(config, name=name)
    if kind.protocol == "local":
        yield _folder(name, Path(path))
        return
    if kind.protocol == "s3":
        hasty = {"connect_timeout": SECONDS, "read_timeout": SECONDS}
        s3 = kind(**(settings | hasty)).fs
        s3.config_kwargs["retries"] = {"max_attempts": 1}
        s3.call_s3("head_bucket", Bucket=path.partition("/")[0])
    else:
        kind(**settings).exists(path)  # raises where nobody answers
    yield Finding(f"DVC remote {name}", True, f"{kind.protocol}: {path} answers")


def _folder(name: str, path: Path) -> Finding:
    there = next(one for one in (path, *path.parents) if one.exists())
    well = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    told = f"{path} can be written" if well else f"{path} cannot be written"
    return Finding(f"DVC remote {name}", well, told, _remedy(name))


def _remedy(name: str) -> str:
    return f"`dvc remote modify {name} ...` mends address and credentials; `dvc push --remote {name}` tries it."
