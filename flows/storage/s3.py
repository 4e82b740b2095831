"""Read and write S3 through boto3: retries, addresses, files that are never replaced, and errors for the user.

Credentials come from AWS's standard chain only (environment, profile, instance role). No file of a project holds any.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from hfi_core.errors import UserError

SCHEME = "s3://"
MAX_ATTEMPTS = 8
"""Attempts of one request, with a growing pause between them."""
CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Timeout of a server that sends nothing; then the request is tried again."""
CONNECTIONS = 16
PART_BYTES = 16 * 2**20
"""Size of the parts of a large file; S3 requires at least 5 MiB."""
_MAX_PARTS = 10_000
_PARTS_AT_ONCE = 8
_SHA256 = "sha256"
"""Metadata key of an object with the digest of the whole file, for servers that store no checksums."""
_SERVER_ERROR = 500
"""HTTP statuses from this one on say that the server is busy or down."""

ABSENT = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
CHANGED = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
"""Codes of a failed condition on an ETag: somebody else wrote first."""


class StorageUnreachable(UserError):
    """Error of the network or the server, not of the user: a later attempt may succeed."""


@dataclass(frozen=True)
class S3Location:
    """A bucket and a prefix of keys, which is empty or ends with a slash."""

    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """Return the key of a name below this location."""
        return self.prefix + name

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


def parse_s3_address(address: str, *below: str) -> S3Location:
    """Return the location of `s3://bucket/prefix`, or one below it; params have validated the address."""
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    parts = [part for part in (*prefix.split("/"), *below) if part]
    return S3Location(bucket, "".join(f"{part}/" for part in parts))


def make_client(endpoint: str | None = None, attempts: int = MAX_ATTEMPTS, timeout: float | None = None) -> Any:
    """Return a boto3 client of S3.

    Args:
        endpoint: address of a server other than AWS.
        attempts: how often a request is sent in all.
        timeout: seconds, in place of `CONNECT_SECONDS` and `READ_SECONDS`.
    """
    import boto3
    from botocore.config import Config

    # A session of its own, because the default one keeps the first credentials of the process.
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=timeout or CONNECT_SECONDS,
            read_timeout=timeout or READ_SECONDS,
            max_pool_connections=CONNECTIONS,
            s3={"addressing_style": "path"} if endpoint else None,  # a host name for each bucket would need DNS
        ),
    )


def error_code(error: Exception) -> str:
    """Return S3's code of an error: `NoSuchKey`, `404`, ..."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def head_object(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """Return S3's metadata of an object with its checksum, or None if there is no such object."""
    from botocore.exceptions import ClientError

    try:
        return s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error_code(error) in ABSENT:
            return None
        raise


def list_objects(s3: Any, location: S3Location) -> Iterator[dict[str, Any]]:
    """Yield every object below a location in order of keys, without the empty objects that stand for folders."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=location.bucket, Prefix=location.prefix):
        yield from (entry for entry in page.get("Contents", ()) if not entry["Key"].endswith("/"))


def is_stored(s3: Any, location: S3Location, name: str, path: Path, sha256: str) -> bool:
    """Return whether S3 already holds the file with this digest under this name.

    Raises UserError if it holds other content there, because that is never replaced.
    """
    key = location.key(name)
    stored = head_object(s3, location.bucket, key)
    if stored is None:
        return False
    size = path.stat().st_size
    same = stored["ContentLength"] == size and stored.get("Metadata", {}).get(_SHA256) == sha256
    checksum = stored.get("ChecksumSHA256")
    if checksum and size <= PART_BYTES and "-" not in checksum:  # that of several parts is not the file's digest
        same = same and checksum == _base64(bytes.fromhex(sha256))
    if not same:
        raise UserError(
            f"{SCHEME}{location.bucket}/{key} exists with other content, and is never replaced. "
            f"The file on this machine is {path} with sha256 {sha256}."
        )
    return True


def put_new_file(s3: Any, location: S3Location, name: str, path: Path, sha256: str, **options: str) -> bool:
    """Store a file under a new name, completely or not at all; return whether it had to be sent.

    boto3's transfer manager cannot do this, because it does not support `If-None-Match` (s3transfer 0.19). A server may
    ignore a checksum, so the content is compared with the digest while it is sent, before the object appears. A large
    file is sent in parts. An attempt that fails removes its parts, and the next one sends the whole file again.

    Args:
        sha256: digest that the file must have, in hexadecimal.
        options: passed to S3 unchanged (encryption).

    Raises UserError if other content has the name, or the file no longer has the digest.
    """
    from botocore.exceptions import ClientError

    if is_stored(s3, location, name, path, sha256):
        return False
    target = {"Bucket": location.bucket, "Key": location.key(name)}
    attributes = {"Metadata": {_SHA256: sha256}, "ChecksumAlgorithm": "SHA256", **options}
    try:
        if path.stat().st_size > PART_BYTES:
            _put_in_parts(s3, target, attributes, path, sha256)
        else:
            content = path.read_bytes()
            _require_digest(hashlib.sha256(content), sha256, path)
            s3.put_object(**target, **attributes, Body=content, ChecksumSHA256=_checksum(content), IfNoneMatch="*")
    except ClientError:
        # Somebody else was faster, or our own request succeeded and the answer was lost. What S3 holds decides.
        if not is_stored(s3, location, name, path, sha256):
            raise
    return True


def _put_in_parts(s3: Any, target: dict[str, str], attributes: dict[str, Any], path: Path, sha256: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    upload = target | {"UploadId": s3.create_multipart_upload(**target, **attributes)["UploadId"]}
    try:
        parts = _send_parts(s3, upload, path, sha256)
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    except BaseException:  # Ctrl-C, too
        with suppress(BotoCoreError, ClientError):
            s3.abort_multipart_upload(**upload)
        raise
    # Abort other uploads of this object, by killed or slower publishers: their parts are invisible and cost money.
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=target["Bucket"], Prefix=target["Key"]):
        for other in page.get("Uploads", ()):
            if other["Key"] == target["Key"]:
                s3.abort_multipart_upload(**target, UploadId=other["UploadId"])


def _send_parts(s3: Any, upload: dict[str, str], path: Path, sha256: str) -> list[dict[str, Any]]:
    """Send a file's parts, several at once; return the list with which S3 puts them together."""

    def send(number: int, content: bytes) -> dict[str, Any]:
        checksum = _checksum(content)
        sent = s3.upload_part(
            **upload, PartNumber=number, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
        )
        return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

    step = max(PART_BYTES, -(-path.stat().st_size // _MAX_PARTS))
    digest = hashlib.sha256()
    parts: list[dict[str, Any]] = []
    with path.open("rb") as stream, ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
        while batch := [content for _ in range(_PARTS_AT_ONCE) if (content := stream.read(step))]:
            for content in batch:
                digest.update(content)
            parts += pool.map(send, count(len(parts) + 1), batch)
    _require_digest(digest, sha256, path)
    return parts


def _require_digest(digest: Any, sha256: str, path: Path) -> None:
    if digest.hexdigest() != sha256:
        raise UserError(f"{path} changed while it was being sent. Run this command again.")


def _checksum(content: bytes) -> str:
    """Return the SHA-256 of some bytes in S3's notation."""
    return _base64(hashlib.sha256(content).digest())


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


@contextmanager
def as_user_error(address: object, consequence: str, attempts: int = MAX_ATTEMPTS) -> Iterator[None]:
    """Turn errors of S3 and of the network into UserErrors about `address`.

    They are StorageUnreachable if a later attempt may succeed. `consequence` says what happened to the work.
    """
    from botocore import exceptions as boto
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise UserError(
            f"{address}: there are no credentials. To fix this: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or give the machine a role (AWS's standard chain)."
        ) from error
    except ClientError as error:
        code = error_code(error)
        if code == "NoSuchBucket" or (code == "404" and error.operation_name == "HeadBucket"):
            raise UserError(
                f"{address}: there is no such bucket. To fix this: create it, or correct the name in params.yaml or "
                "operations.yaml."
            ) from error
        if code in ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"):
            raise UserError(
                f"{address}: S3 denies access ({code}, {error.operation_name}). To fix this: check which "
                "credentials are in use and which rights they have."
            ) from error
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = StorageUnreachable if status >= _SERVER_ERROR else UserError
        raise kind(f"{address}: S3 rejects {error.operation_name}: {code}. {consequence}") from error
    except (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError, boto.FlexibleChecksumError) as error:
        raise StorageUnreachable(
            f"{address} is out of reach after {attempts} attempts: {error}. {consequence}"
        ) from error
    except BotoCoreError as error:  # a profile, a sign-on or a setting of AWS: no later attempt changes it
        raise UserError(
            f"{address}: AWS's settings cannot be used ({type(error).__name__}): {error}. To fix this: correct "
            "AWS_PROFILE or ~/.aws/config, or sign in again (`aws sso login`)."
        ) from error
