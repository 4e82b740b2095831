"""S3 through boto3: a client that retries, addresses, files that are never replaced, and refusals as a user's errors.

Credentials come by AWS's standard chain alone (environment, profile, instance role): no file of ours holds any.
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
"""Of one request, with a growing pause between them."""
CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Longest silence of the server before a request is tried again."""
CONNECTIONS = 16
PART_BYTES = 16 * 2**20
"""Of a file sent in parts; S3 wants at least 5 MiB."""
_MAX_PARTS = 10_000
_PARTS_AT_ONCE = 8
_SHA256 = "sha256"
"""Metadata of an object: the digest of the whole file, for servers that keep no checksums."""
_SERVER_ERROR = 500
"""HTTP statuses from here on: busy, down."""

ABSENT = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
CHANGED = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
"""A condition on an ETag did not hold: somebody else wrote first."""


class StorageUnreachable(UserError):
    """Neither the user nor the files are at fault: the network is, or the server."""


@dataclass(frozen=True)
class S3Location:
    """A bucket and what the keys in it begin with: '' or a prefix that ends with a slash."""

    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """The key of a name below this place."""
        return self.prefix + name

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


def parse_s3_address(address: str, *below: str) -> S3Location:
    """The place that `s3://bucket/prefix` names, or one below it; params have checked its form."""
    bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
    parts = [part for part in (*prefix.split("/"), *below) if part]
    return S3Location(bucket, "".join(f"{part}/" for part in parts))


def make_client(endpoint: str | None = None, tries: int = MAX_ATTEMPTS, seconds: float | None = None) -> Any:
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


def error_code(error: Exception) -> str:
    """S3's code of a refusal: `NoSuchKey`, `404`, ..."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def head_object(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """What S3 says of an object, its checksum included; None where there is none."""
    from botocore.exceptions import ClientError

    try:
        return s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error_code(error) in ABSENT:
            return None
        raise


def list_objects(s3: Any, place: S3Location) -> Iterator[dict[str, Any]]:
    """Every object below a place by key, but for the empty ones that stand for folders."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.prefix):
        yield from (found for found in page.get("Contents", ()) if not found["Key"].endswith("/"))


def is_stored(s3: Any, place: S3Location, name: str, path: Path, sha256: str) -> bool:
    """Say whether the object is there already, as the file with this digest.

    Raises UserError if it is there with another content: it is never replaced.
    """
    key = place.key(name)
    found = head_object(s3, place.bucket, key)
    if found is None:
        return False
    size = path.stat().st_size
    same = found["ContentLength"] == size and found.get("Metadata", {}).get(_SHA256) == sha256
    checksum = found.get("ChecksumSHA256")
    if checksum and size <= PART_BYTES and "-" not in checksum:  # of several parts it does not speak of the whole
        same = same and checksum == _base64(bytes.fromhex(sha256))
    if not same:
        raise UserError(
            f"{SCHEME}{place.bucket}/{key} is there with another content, and is never replaced. "
            f"Here it is {path} with sha256 {sha256}."
        )
    return True


def put_new_file(s3: Any, place: S3Location, name: str, path: Path, sha256: str, **options: str) -> bool:
    """Store a file under a name that nothing has yet, whole or not at all; say whether it had to be sent.

    boto3's transfer manager cannot do it: it takes no `If-None-Match` (s3transfer 0.19). Servers, too, may pass a
    checksum over, so what is sent is held against the digest here, before the object appears. A large file goes in
    parts; a try that breaks removes those it has sent, and the next try sends the whole file again.

    Args:
        sha256: digest that the file must have, in hexadecimal.
        options: go to S3 as they are (encryption).

    Raises UserError if another content has the name, or the file is not the one of the digest any more.
    """
    from botocore.exceptions import ClientError

    if is_stored(s3, place, name, path, sha256):
        return False
    about = {"Bucket": place.bucket, "Key": place.key(name)}
    made = {"Metadata": {_SHA256: sha256}, "ChecksumAlgorithm": "SHA256", **options}
    try:
        if path.stat().st_size > PART_BYTES:
            _put_in_parts(s3, about, made, path, sha256)
        else:
            content = path.read_bytes()
            _require_digest(hashlib.sha256(content), sha256, path)
            s3.put_object(**about, **made, Body=content, ChecksumSHA256=_checksum(content), IfNoneMatch="*")
    except ClientError:
        # Somebody was faster; or it was us, and only the answer was lost. Whatever S3 says, what is there counts.
        if not is_stored(s3, place, name, path, sha256):
            raise
    return True


def _put_in_parts(s3: Any, about: dict[str, str], made: dict[str, Any], path: Path, sha256: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    upload = about | {"UploadId": s3.create_multipart_upload(**about, **made)["UploadId"]}
    try:
        parts = _send_parts(s3, upload, path, sha256)
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    except BaseException:  # Ctrl-C, too
        with suppress(BotoCoreError, ClientError):
            s3.abort_multipart_upload(**upload)
        raise
    # The object is there: other uploads of it, by killed or slower publishers, would lie about, unseen and paid for.
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=about["Bucket"], Prefix=about["Key"]):
        for other in page.get("Uploads", ()):
            if other["Key"] == about["Key"]:
                s3.abort_multipart_upload(**about, UploadId=other["UploadId"])


def _send_parts(s3: Any, upload: dict[str, str], path: Path, sha256: str) -> list[dict[str, Any]]:
    """Send a file's parts, some side by side; return what S3 wants to know of each to put them together."""

    def send(number: int, content: bytes) -> dict[str, Any]:
        checksum = _checksum(content)
        sent = s3.upload_part(
            **upload, PartNumber=number, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
        )
        return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

    step = max(PART_BYTES, -(-path.stat().st_size // _MAX_PARTS))
    whole, parts = hashlib.sha256(), []
    with path.open("rb") as stream, ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
        while batch := [content for _ in range(_PARTS_AT_ONCE) if (content := stream.read(step))]:
            for content in batch:
                whole.update(content)
            parts += pool.map(send, count(len(parts) + 1), batch)
    _require_digest(whole, sha256, path)
    return parts


def _require_digest(sent: Any, sha256: str, path: Path) -> None:
    if sent.hexdigest() != sha256:
        raise UserError(f"{path} changed while it was being sent; run this again.")


def _checksum(content: bytes) -> str:
    """Write the SHA-256 of some bytes as S3 does."""
    return _base64(hashlib.sha256(content).digest())


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


@contextmanager
def as_user_error(address: object, then: str, tries: int = MAX_ATTEMPTS) -> Iterator[None]:
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
        code = error_code(error)
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
        kind = StorageUnreachable if status >= _SERVER_ERROR else UserError
        raise kind(f"{address}: S3 refuses {error.operation_name}: {code}. {then}") from error
    except BotoCoreError as error:
        raise StorageUnreachable(f"{address} is out of reach after {tries} tries: {error}. {then}") from error
