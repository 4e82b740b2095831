"""Check whether releases can be written to `publish.to`, and the inbox emptied. A probe is written and deleted."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from flows.doctor.check import RESPONSE_SECONDS, Finding, check_folder, with_timeout
from flows.feedback.address_overlaps import find_overlaps
from flows.feedback.inbox import TAKEN
from flows.releases.publish import encryption_of
from flows.storage.s3 import CHANGED, SCHEME, S3Location, as_user_error, error_code, make_client, parse_s3_address
from hfi_core.params import Params

PROBES = "hfi-doctor"
"""Folder of the probes, in each location."""
_TRIES = 2
_REMEDY = (
    "Correct publish.to or publish.endpoint in operations.yaml, feedback.inbox in params.yaml, the credentials, or the "
    "bucket's policy."
)


def check(params: Params) -> Iterator[Finding]:
    """Yield findings on addresses that overlap, on the location of releases and on the inbox."""
    overlaps = find_overlaps(params, contact_server=True)
    if overlaps:
        message = f"overlap: {'; '.join(overlaps)}"
        yield Finding("addresses", False, message, "Give each a folder or prefix that is not above another one.")
    to = params.publish.to
    if to.startswith(SCHEME):
        yield from with_timeout("publish", _REMEDY, lambda: _check_releases(params, parse_s3_address(to, PROBES)))
    else:
        yield check_folder("publish", Path(to))
    if params.feedback.inbox:
        # In `taken/`: a file anywhere else would be fetched as an export.
        location = parse_s3_address(params.feedback.inbox, TAKEN.rstrip("/"), PROBES)
        yield from with_timeout("inbox", _REMEDY, lambda: _check_inbox(params, location))


def _check_releases(params: Params, location: S3Location) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    with as_user_error(location, _REMEDY, _TRIES):
        s3, key = _connect(params, location)
        s3.put_object(Bucket=location.bucket, Key=key, Body=b"", **encryption_of(params.publish))
        try:
            s3.put_object(Bucket=location.bucket, Key=key, Body=b"", IfNoneMatch="*", **encryption_of(params.publish))
            honoured = False
        except ClientError as error:
            if error_code(error) not in CHANGED:
                raise
            honoured = True
        try:
            s3.delete_object(Bucket=location.bucket, Key=key)
            remark = ""
        except ClientError:  # publishing deletes nothing, so this right may be missing
            remark = f"; no right to delete, so {key} stays"
    yield Finding("publish", True, f"{location.bucket} answers, releases can be written{remark}")
    yield Finding(
        "publish conditions", honoured, "the server honours If-None-Match" if honoured else "If-None-Match is ignored",
        "The server cannot tell two publishers apart that write at once: let only one publish.", needed=False,
    )  # fmt: skip


def _check_inbox(params: Params, location: S3Location) -> Iterator[Finding]:
    with as_user_error(location, _REMEDY, _TRIES):
        s3, key = _connect(params, location)
        s3.put_object(Bucket=location.bucket, Key=key, Body=b"")
        s3.get_object(Bucket=location.bucket, Key=key)
        s3.delete_object(Bucket=location.bucket, Key=key)
    yield Finding("inbox", True, f"{location.bucket} answers, exports can be read and moved away")


def _connect(params: Params, location: S3Location):
    """Return a client whose bucket exists and can be listed, and the key of a probe."""
    s3 = make_client(params.publish.endpoint, attempts=_TRIES, timeout=RESPONSE_SECONDS)
    s3.head_bucket(Bucket=location.bucket)
    s3.list_objects_v2(Bucket=location.bucket, Prefix=location.prefix, MaxKeys=1)
    return s3, location.key(uuid4().hex)
