"""Check DVC's remotes, with the credentials that DVC uses."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from flows.doctor.check import RESPONSE_SECONDS, Finding, check_folder, with_timeout
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError
from hfi_core.params import Params


def check(params: Params) -> Iterator[Finding]:
    """Yield a finding for each remote, and one if params name a remote that does not exist."""
    try:
        with open_repository() as repo:
            config = repo.config
    except UserError:  # another check reports it
        return
    wanted = params.versioning.push
    if wanted and wanted not in config["remote"]:
        yield Finding(
            f"DVC remote {wanted}", False, "versioning.push names it, DVC's configuration does not",
            f"`dvc remote add {wanted} ADDRESS`, or correct versioning.push in operations.yaml.",
        )  # fmt: skip
    if not config["remote"]:
        yield Finding("DVC remotes", True, "none: the data is on this machine only")
    for name in config["remote"]:
        yield from with_timeout(f"DVC remote {name}", _remedy(name), partial(_check_remote, config, name))


def _check_remote(config: Any, name: str) -> Iterator[Finding]:
    from dvc.fs import get_cloud_fs

    kind, settings, path = get_cloud_fs(config, name=name)
    if kind.protocol == "local":
        yield check_folder(f"DVC remote {name}", Path(path), _remedy(name))
        return
    if kind.protocol == "s3":
        timeouts = {"connect_timeout": RESPONSE_SECONDS, "read_timeout": RESPONSE_SECONDS}
        s3 = kind(**(settings | timeouts)).fs
        s3.config_kwargs["retries"] = {"max_attempts": 1}
        s3.call_s3("head_bucket", Bucket=path.partition("/")[0])
    else:
        kind(**settings).exists(path)  # raises if no server answers
    yield Finding(f"DVC remote {name}", True, f"{kind.protocol}: {path} answers")


def _remedy(name: str) -> str:
    return f"`dvc remote modify {name} ...` corrects address and credentials; `dvc push --remote {name}` tries it."
