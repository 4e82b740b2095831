"""May releases be put where `publish.to` says, and is the inbox ours to empty? A probe is written and deleted."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from flows.doctor.check import SECONDS, Finding, with_timeout
from flows.feedback.inbox import TAKEN
from flows.releases.publish import encryption_of
from flows.storage.s3 import CHANGED, SCHEME, S3Location, as_user_error, error_code, make_client, parse_s3_address
from hfi_core.params import Params

PROBES = "hfi-doctor"
"""Folder of the probes, below each place."""
_TRIES = 2
_MEND = "Mend publish.to, feedback.inbox or publish.endpoint in params.yaml, the credentials, or the bucket's policy."


def check(params: Params) -> Iterator[Finding]:
    """A finding each on the place of releases and on the inbox."""
    to = params.publish.to
    if to.startswith(SCHEME):
        yield from with_timeout("publish", _MEND, lambda: _releases(params, parse_s3_address(to, PROBES)))
    else:
        yield _folder(Path(to))
    if params.feedback.inbox:
        # Below `taken/`: what lies anywhere else would be fetched as an export.
        place = parse_s3_address(params.feedback.inbox, TAKEN.rstrip("/"), PROBES)
        yield from with_timeout("inbox", _MEND, lambda: _inbox(params, place))


def _releases(params: Params, place: S3Location) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    with as_user_error(place, _MEND, _TRIES):
        s3, key = _reached(params, place)
        s3.put_object(Bucket=place.bucket, Key=key, Body=b"", **encryption_of(params))
        try:
            s3.put_object(Bucket=place.bucket, Key=key, Body=b"", IfNoneMatch="*", **encryption_of(params))
            kept = False
        except ClientError as error:
            if error_code(error) not in CHANGED:
                raise
            kept = True
        try:
            s3.delete_object(Bucket=place.bucket, Key=key)
            left = ""
        except ClientError:  # publishing deletes nothing, so the right to it may be missing
            left = f"; no right to delete, so {key} stays"
    yield Finding("publish", True, f"{place.bucket} answers, releases can be written{left}")
    yield Finding(
        "publish conditions", kept, "writes on a condition are known" if kept else "If-None-Match is passed over",
        "The server cannot keep two publishers apart that come at once: let only one publish.", needed=False,
    )  # fmt: skip


def _inbox(params: Params, place: S3Location) -> Iterator[Finding]:
    with as_user_error(place, _MEND, _TRIES):
        s3, key = _reached(params, place)
        s3.put_object(Bucket=place.bucket, Key=key, Body=b"")
        s3.get_object(Bucket=place.bucket, Key=key)
        s3.delete_object(Bucket=place.bucket, Key=key)
    yield Finding("inbox", True, f"{place.bucket} answers, exports can be read and moved away")


def _reached(params: Params, place: S3Location):
    """A client whose bucket is there and lets itself be listed, and the key of a probe."""
    s3 = make_client(params.publish.endpoint, tries=_TRIES, seconds=SECONDS)
    s3.head_bucket(Bucket=place.bucket)
    s3.list_objects_v2(Bucket=place.bucket, Prefix=place.prefix, MaxKeys=1)
    return s3, place.key(uuid4().hex)


def _folder(path: Path) -> Finding:
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    well = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return Finding("publish", well, f"{path} {'can' if well else 'cannot'} be written", f"Mend the rights of {there}.")
