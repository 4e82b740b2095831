"""Where releases go, and how."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from hfi_core.params.values import Frozen, RelativePath

_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()-]+)*/?")
"""Bucket and prefix, of the characters that S3 calls safe."""


def _in_s3(address: str) -> str:
    if not _S3.fullmatch(address):
        raise ValueError("an address such as s3://bucket/prefix is expected")
    return address


S3Address = Annotated[str, AfterValidator(_in_s3)]


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
