"""Params of operations: the annotation page, publishing, versioning, tracking. No stage depends on them."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from hfi_core.params.feedback import Annotation
from hfi_core.params.values import Frozen, RelativePath, S3Address

OPERATIONS_FILE = "operations.yaml"
"""Name of the file of these sections. It lies beside `params.yaml`."""


def _folder(path: str) -> str:
    if "://" in path or path.strip("./") == "":
        raise ValueError("s3://bucket/prefix or a folder inside the project, such as published, is expected")
    return path


class Publish(Frozen):
    """Where `hfi publish` puts releases. Changes no result."""

    to: Annotated[S3Address | Annotated[RelativePath, AfterValidator(_folder)], StringConstraints(max_length=500)]
    """`s3://bucket/prefix`, or a folder inside the project such as `published`."""
    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+/?$")] | None
    """Address of an S3 server other than AWS, for the inbox as well; null: the one in AWS's own configuration."""
    encryption: Literal["AES256", "aws:kms"] | None
    """Requested encryption on the server; null: the bucket's default."""
    tokens: bool
    """false: the folder `tokens/` of a release is not published. Its v* draws what people object to."""


_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def _branch(name: str) -> str:
    if not _BRANCH.fullmatch(name) or ".." in name or any(part.endswith((".lock", ".")) for part in name.split("/")):
        raise ValueError("the name of a branch is expected, such as hfi/results")
    return name


class Versioning(Frozen):
    """What a run of a deployment records in git and DVC when it ends. Changes no result."""

    commit: Literal["none", "branch"]
    """`branch`: commit `dvc.lock` and the `.dvc` files that the graph reads on `branch`; `none`: commit nothing."""
    branch: Annotated[str, AfterValidator(_branch), StringConstraints(max_length=200)]
    """The branch of the records. Only the pipeline commits to it, and nobody checks it out."""
    push: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}$")] | None
    """Name of the DVC remote that gets the data before the commit is made; null: the data stays on this machine."""


class Tracking(Frozen):
    """Where runs are recorded. Changes no result."""

    mlflow: Annotated[str, StringConstraints(min_length=1)]
    """Address of MLflow's tracking server and registry."""
    experiment: Annotated[str, StringConstraints(min_length=1)]


class Operations(Frozen):
    """All of `operations.yaml`: settings that change no result."""

    annotation: Annotation
    publish: Publish
    versioning: Versioning
    tracking: Tracking
