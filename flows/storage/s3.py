"""S3 through boto3: one client with retries and time-outs, addresses, and what S3 refuses told as a user's errors.

Credentials come by AWS's standard chain alone (environment, profile, instance role): no file of ours holds any.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hfi_core.errors import UserError

SCHEME = "s3://"
TRIES = 8
"""Of one request, with a growing pause between them."""
CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Longest silence of the server before a request is tried again."""
CONNECTIONS = 16
_SERVER_S_FAULT = 500
"""HTTP statuses from here on: busy, down."""

ABSENT = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
CHANGED = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
"""A condition on an ETag did not hold: somebody else wrote first."""


class OutOfReach(UserError):
    """Neither the user nor the files are at fault: the network is, or the server."""


@dataclass(frozen=True)
class Place:
    """A bucket and what the keys in it begin with: '' or a prefix that ends with a slash."""

    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """The key of a name below this place."""
        return self.prefix + name

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


def place_of(address: str, *below: str) -> Place:
    """The place that `s3://bucket/prefix` names, or one below it; params have checked its form."""
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    parts = [part for part in (*prefix.split("/"), *below) if part]
    return Place(bucket, "".join(f"{part}/" for part in parts))


def client(endpoint: str | None = None, tries: int = TRIES, seconds: float | None = None) -> Any:
    """A boto3 client of S3; `endpoint` is the address of a server other than AWS.

    `seconds`: the longest silence to bear, where it is less than usual.
    """
    import boto3
    from botocore.config import Config

    # A session of its own: the default one keeps the credentials that the process first had.
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": tries},
            connect_timeout=seconds or CONNECT_SECONDS,
            read_timeout=seconds or READ_SECONDS,
            max_pool_connections=CONNECTIONS,
            s3={"addressing_style": "path"} if endpoint else None,  # a bucket's own host name needs DNS for it
        ),
    )


def code_of(error: Exception) -> str:
    """S3's code of a refusal: `NoSuchKey`, `404`, ..."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def head(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """What S3 says of an object, its checksum included; None where there is none."""
    from botocore.exceptions import ClientError

    try:
        return s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if code_of(error) in ABSENT:
            return None
        raise


def listing(s3: Any, place: Place) -> Iterator[dict[str, Any]]:
    """Every object below a place by key, but for the empty ones that stand for folders."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.prefix):
        yield from (found for found in page.get("Contents", ()) if not found["Key"].endswith("/"))


@contextmanager
def explained(address: object, then: str, tries: int = TRIES) -> Iterator[None]:
    """Turn what S3 and the network refuse into UserErrors about `address`; `then` says what has become of the work.

    They are OutOfReach where another try, later, may succeed.
    """
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise UserError(
            f"{address}: there are no credentials. They come by AWS's standard chain: AWS_PROFILE, AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, or the machine's role."
        ) from error
    except ClientError as error:
        code = code_of(error)
        if code == "NoSuchBucket" or (code == "404" and error.operation_name == "HeadBucket"):
            raise UserError(
                f"{address}: there is no such bucket. Make it, or correct the name in params.yaml."
            ) from error
        if code in ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"):
            raise UserError(
                f"{address}: S3 does not let you ({code}, {error.operation_name}). Which credentials are in use, and "
                "which rights have they?"
            ) from error
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = OutOfReach if status >= _SERVER_S_FAULT else UserError
        raise kind(f"{address}: S3 refuses {error.operation_name}: {code}. {then}") from error
    except BotoCoreError as error:
        raise OutOfReach(f"{address} is out of reach after {tries} tries: {error}. {then}") from error
