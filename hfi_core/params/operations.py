"""Sections of `params.yaml` about operation: publishing, versioning, tracking."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from hfi_core.params.values import Frozen, RelativePath, S3Address


def _folder(path: str) -> str:
    if "://" in path or path.strip("./") == "":
        raise ValueError("s3://bucket/prefix or a folder inside the project, such as published, is expected")
    return path


class Publish(Frozen):
    """Where `hfi publish` puts releases; changes no result."""

    to: Annotated[S3Address | Annotated[RelativePath, AfterValidator(_folder)], StringConstraints(max_length=500)]
    """`s3://bucket/prefix`, or a folder inside the project such as `published`."""
    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+/?$")] | None
    """Address of an S3 server other than AWS, of the inbox too; null: what AWS's own configuration says."""
    encryption: Literal["AES256", "aws:kms"] | None
    """Encryption on the server's side that is asked for; null: the bucket's own default."""
    tokens: bool
    """false: the folder `tokens/` of a release stays where it is; v* in it draws what people object to."""


_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def _branch(name: str) -> str:
    if not _BRANCH.fullmatch(name) or ".." in name or any(part.endswith((".lock", ".")) for part in name.split("/")):
        raise ValueError("a branch's name is expected, such as hfi/results")
    return name


class Versioning(Frozen):
    """What a run of a deployment records in git and DVC when it ends; changes no result."""

    commit: Literal["none", "branch"]
    """`branch`: `dvc.lock` and the `.dvc` files that the graph reads are committed on `branch`; `none`: nothing is."""
    branch: Annotated[str, AfterValidator(_branch), StringConstraints(max_length=200)]
    """The branch of the records, the pipeline's own: nobody has it checked out, and nobody else commits to it."""
    push: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}$")] | None
    """DVC remote, by name, that the data goes to before the commit is made; null: the data stays here."""


class Tracking(Frozen):
    """Where runs are recorded; changes no result."""

    mlflow: Annotated[str, StringConstraints(min_length=1)]
    """MLflow's tracking and registry address."""
    experiment: Annotated[str, StringConstraints(min_length=1)]
