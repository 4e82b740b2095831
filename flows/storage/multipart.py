"""One file into S3: checked on the way, in parts where it is large, resumed where an earlier try ended, never replaced.

An object appears whole or not at all, so what a reader finds under a key is the file.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.storage.s3 import Place, head
from hfi_core.errors import UserError

PART_BYTES = 16 * 2**20
"""Of a file sent in parts; S3 wants at least 5 MiB."""
_MOST_PARTS = 10_000
_SHA256 = "sha256"
"""Metadata of an object: digest of the whole file, for servers that keep no checksums."""


@dataclass(frozen=True)
class Part:
    """A slice of a file, and the digest of its bytes."""

    number: int
    offset: int
    size: int
    sha256: bytes

    @property
    def checksum(self) -> str:
        """The digest as S3 writes it."""
        return b64encode(self.sha256).decode()


@dataclass(frozen=True)
class File:
    """A file as it was when it was read through once: nothing else is ever sent."""

    path: Path
    size: int
    sha256: str
    parts: tuple[Part, ...]

    @cached_property
    def checksum(self) -> str:
        """What S3 says of the object: of one part its digest, of several the digest of theirs, and their number."""
        if len(self.parts) == 1:
            return self.parts[0].checksum
        joined = hashlib.sha256(b"".join(part.sha256 for part in self.parts)).digest()
        return f"{b64encode(joined).decode()}-{len(self.parts)}"

    def read(self, part: Part) -> bytes:
        """The bytes of a part.

        Raises UserError if the file has changed since.
        """
        with self.path.open("rb") as stream:
            stream.seek(part.offset)
            content = stream.read(part.size)
        if hashlib.sha256(content).digest() != part.sha256:
            raise UserError(f"{self.path} changed while it was being sent; run this again.")
        return content


def read_through(path: Path) -> File:
    """Read a file for its digests."""
    size = path.stat().st_size
    step = max(PART_BYTES, -(-size // _MOST_PARTS))
    whole, parts, offset = hashlib.sha256(), [], 0
    with path.open("rb") as stream:
        while content := stream.read(step):
            whole.update(content)
            parts.append(Part(len(parts) + 1, offset, len(content), hashlib.sha256(content).digest()))
            offset += len(content)
    parts = parts or [Part(1, 0, 0, hashlib.sha256().digest())]
    return File(path, offset, whole.hexdigest(), tuple(parts))


def is_stored(s3: Any, bucket: str, key: str, file: File) -> bool:
    """Whether the object is there, as this file.

    Raises UserError if another one is there: it is never replaced.
    """
    found = head(s3, bucket, key)
    if found is None:
        return False
    digest = found.get("Metadata", {}).get(_SHA256)
    checksum = found.get("ChecksumSHA256")
    # A checksum over other parts than ours says nothing about the content.
    comparable = checksum and checksum.partition("-")[2] == file.checksum.partition("-")[2]
    same = found["ContentLength"] == file.size and digest == file.sha256
    if not same or (comparable and checksum != file.checksum):
        raise UserError(
            f"s3://{bucket}/{key} is there with another content, and is never replaced. "
            f"Here it is {file.path} with sha256 {file.sha256}."
        )
    return True


def upload(s3: Any, place: Place, name: str, file: File, options: Mapping[str, str], pool: Executor) -> bool:
    """Store a file under a name; whether it had to be sent. `options` go to S3 (encryption).

    Raises UserError if another file is there.
    """
    from botocore.exceptions import ClientError

    key = place.key(name)
    if is_stored(s3, place.bucket, key, file):
        return False
    about = {"Bucket": place.bucket, "Key": key}
    made = {"Metadata": {_SHA256: file.sha256}, "ChecksumAlgorithm": "SHA256", **options}
    try:
        if len(file.parts) == 1:
            (part,) = file.parts
            s3.put_object(**about, **made, Body=file.read(part), ChecksumSHA256=part.checksum, IfNoneMatch="*")
        else:
            _in_parts(s3, about, made, file, pool)
    except ClientError:
        # Somebody was faster; or it was us, and only the answer was lost. Whatever S3 says, what is there counts.
        if not is_stored(s3, place.bucket, key, file):
            raise
    return True


def _in_parts(s3: Any, about: dict[str, str], made: dict[str, Any], file: File, pool: Executor) -> None:
    upload_id, there = _begun(s3, about, file)
    if upload_id is None:
        upload_id = s3.create_multipart_upload(**about, **made)["UploadId"]
    about = about | {"UploadId": upload_id}

    def send(part: Part) -> dict[str, Any]:
        etag = there.get(part.number)
        if etag is None:
            sent = s3.upload_part(
                **about, PartNumber=part.number, Body=file.read(part), ChecksumAlgorithm="SHA256",
                ChecksumSHA256=part.checksum,
            )  # fmt: skip
            etag = sent["ETag"]
        return {"PartNumber": part.number, "ETag": etag, "ChecksumSHA256": part.checksum}

    parts = list(pool.map(send, file.parts))
    s3.complete_multipart_upload(**about, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    # What another publisher began at the same time would lie about, unseen and paid for.
    for other in _uploads(s3, about["Bucket"], about["Key"]):
        s3.abort_multipart_upload(Bucket=about["Bucket"], Key=about["Key"], UploadId=other)


def _begun(s3: Any, about: Mapping[str, str], file: File) -> tuple[str | None, dict[int, str]]:
    """An upload of this key that an earlier try left, with the ETags of those of its parts that are this file's."""
    for upload_id in _uploads(s3, about["Bucket"], about["Key"]):
        there = {}
        wanted = {part.number: part for part in file.parts}
        for page in s3.get_paginator("list_parts").paginate(**about, UploadId=upload_id):
            for found in page.get("Parts", ()):
                part = wanted.get(found["PartNumber"])
                if part and found["Size"] == part.size and _is(found, file, part):
                    there[part.number] = found["ETag"]
        return upload_id, there
    return None, {}


def _is(found: Mapping[str, Any], file: File, part: Part) -> bool:
    checksum = found.get("ChecksumSHA256")
    if checksum:
        return checksum == part.checksum
    # A server without checksums: the ETag of an unencrypted part is its MD5; of an encrypted one it is sent again.
    return found["ETag"].strip('"') == hashlib.md5(file.read(part), usedforsecurity=False).hexdigest()


def _uploads(s3: Any, bucket: str, key: str) -> Iterator[str]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key):
        yield from (found["UploadId"] for found in page.get("Uploads", ()) if found["Key"] == key)
