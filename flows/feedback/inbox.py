"""Feedback by S3: others drop exports below a prefix, and each is taken exactly once.

A file is imported whole, then moved to `taken/`; one that cannot be goes to `rejected/`, with the reason beside it. The
import knows what it has seen, so whoever is stopped between import and move only moves at the next try.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from flows.feedback.import_context import format_counts, list_candidate_folders, open_import_context
from flows.runtime.console import info, warn
from flows.storage.s3 import (
    ABSENT,
    CHANGED,
    MAX_ATTEMPTS,
    S3Location,
    StorageUnreachable,
    as_user_error,
    error_code,
    head_object,
    list_objects,
    make_client,
    parse_s3_address,
    put_new_file,
)
from flows.versioning.inputs import dvc_file_of
from hfi_core.candidates.manifest import MANIFEST
from hfi_core.errors import UserError
from hfi_core.feedback.formats.importer import commit_import, prepare_import
from hfi_core.feedback.store import Store, open_store, store_exists
from hfi_core.io.atomic import DISK_FULL_ERRORS, disk_full_as_user_error
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params, load_params
from hfi_core.pipeline.layout import PARAMS

TAKEN, REJECTED = "taken/", "rejected/"
REASON = ".reason.txt"
MAX_BYTES = 2**30
"""Bytes of a file that is taken: some millions of judgements, and room for several in a usual /tmp."""
_DIGITS = 12
_MOST_NAME = 200
_AGAIN = "What was imported is kept; run this again: it goes on with what still lies there."


@dataclass(frozen=True)
class FetchResult:
    """What lay in the inbox, by name."""

    taken: dict[str, str]
    """What each import came to."""
    rejected: dict[str, str]
    """Why each was not imported."""


@dataclass(frozen=True)
class _Dropped:
    """An object as it was listed; a newer one under its key has another ETag, and is another drop."""

    name: str
    etag: str
    bytes: int


def fetch_inbox(params: Params) -> FetchResult:
    """Import what lies in `feedback.inbox` into the live store, the oldest first, and move it away.

    Raises UserError if params name no inbox, candidates that judgements may be about are still to come, the disk is
    full or the store is out of reach; OutOfReach if the inbox is.
    """
    if params.feedback.inbox is None:
        raise UserError(
            "feedback.inbox in params.yaml is null: name there what others may write to, s3://bucket/prefix."
        )
    missing = _without_candidates(params)
    if missing:
        raise UserError(
            f"There are no candidates of {', '.join(missing)} yet that judgements could be about; `hfi run --until "
            "generate` (or adopt) makes them. Nothing was taken from the inbox."
        )
    place = parse_s3_address(params.feedback.inbox)
    found = FetchResult({}, {})
    with as_user_error(place, _AGAIN), open_store(params.feedback.database_url) as store:
        s3 = make_client(params.publish.endpoint)
        for dropped in _waiting(s3, place):
            if dropped.bytes > MAX_BYTES:
                _refuse(s3, place, dropped, found)
                continue
            name = _file_name(dropped.name)
            with disk_full_as_user_error(Path(gettempdir()) / name), TemporaryDirectory() as folder:
                file = Path(folder) / name
                if _download(s3, place, dropped, file):
                    _take(params, s3, place, dropped, file, store, found)
    return found


def fetch_for_run(params: Params) -> None:
    """Fetch before a run takes its snapshot, and say what came; passed over where that cannot be yet.

    An inbox that is out of reach is warned of: the run learns from what has come before.
    """
    if _without_candidates(params):
        return  # this run makes them, the next one fetches
    snapshot = Path(params.feedback.file)
    if not store_exists(params.feedback.database_url) and (dvc_file_of(snapshot).exists() or snapshot.exists()):
        return  # a clone, which learns from the snapshot that came with it
    try:
        found = fetch_inbox(params)
    except StorageUnreachable as error:
        warn(f"inbox: {error} This run goes on with what has come before.")
        return
    report_fetched(found)


def report_fetched(found: FetchResult) -> None:
    """Say what came of each file."""
    for name, came_of_it in found.taken.items():
        info(f"inbox: {name}: {came_of_it}")
    for name, reason in found.rejected.items():
        warn(f"inbox: {name} was rejected: {reason}")


def _without_candidates(params: Params) -> list[str]:
    return [concept for concept, folder in list_candidate_folders(params).items() if not (folder / MANIFEST).is_file()]


def _waiting(s3: Any, place: S3Location) -> Iterator[_Dropped]:
    """What lies there, as it was dropped: later answers of one annotator come after earlier ones."""
    objects = sorted(list_objects(s3, place), key=lambda found: (found["LastModified"], found["Key"]))
    for found in objects:
        name = found["Key"].removeprefix(place.prefix)
        if not name.startswith((TAKEN, REJECTED)):
            yield _Dropped(name, found["ETag"], found["Size"])


def _file_name(name: str) -> str:
    """A name that any file system takes; the end of it may decide the format."""
    last = PurePosixPath(name).name.replace("\0", "")
    fits = last not in ("", ".", "..") and len(last.encode()) <= _MOST_NAME
    return last if fits else f"export{Path(last).suffix[:8]}"


def _download(s3: Any, place: S3Location, dropped: _Dropped, file: Path) -> bool:
    """Bring the file here whole; False if it is not there any more as it was listed."""
    from botocore.exceptions import BotoCoreError, ClientError

    for left in reversed(range(MAX_ATTEMPTS)):
        try:
            got = s3.get_object(Bucket=place.bucket, Key=place.key(dropped.name), IfMatch=dropped.etag)
            with file.open("wb") as stream:
                shutil.copyfileobj(got["Body"], stream)
            if file.stat().st_size == got["ContentLength"]:
                return True
        except ClientError as error:
            if error_code(error) in (*ABSENT, *CHANGED):
                return False
            raise
        except BotoCoreError:  # cut in the middle of the body, which the client does not try again
            if not left:
                raise
        except OSError as error:
            if not left or error.errno in DISK_FULL_ERRORS:
                raise
    raise StorageUnreachable(f"{place.key(dropped.name)} came cut short {MAX_ATTEMPTS} times. {_AGAIN}")


def _take(
    params: Params, s3: Any, place: S3Location, dropped: _Dropped, file: Path, store: Store, found: FetchResult
) -> None:
    try:
        found.taken[dropped.name] = _import(params, file, store)
    except _Unfit as unfit:
        reason = str(unfit).replace(str(file), dropped.name)
        found.rejected[dropped.name] = reason
        to = _away(REJECTED, dropped.name, sha256_of_file(file))
        _explain(s3, place, to, reason)
    else:
        to = _away(TAKEN, dropped.name, sha256_of_file(file))
    _move(s3, place, dropped, file, to)


def _refuse(s3: Any, place: S3Location, dropped: _Dropped, found: FetchResult) -> None:
    """Reject a file that is too large to be brought here: the server moves it, named by its ETag."""
    from botocore.exceptions import ClientError

    reason = f"It has {dropped.bytes:,} bytes, and at most {MAX_BYTES:,} are taken: drop it in parts."
    to = _away(REJECTED, dropped.name, dropped.etag.strip('"'))
    source = {"Bucket": place.bucket, "Key": place.key(dropped.name)}
    try:
        s3.copy(source, place.bucket, place.key(to), ExtraArgs={"CopySourceIfMatch": dropped.etag})
    except ClientError as error:
        if error_code(error) in (*ABSENT, *CHANGED):
            return
        raise
    found.rejected[dropped.name] = reason
    _explain(s3, place, to, reason)
    _delete(s3, place, dropped)


def _explain(s3: Any, place: S3Location, rejected: str, reason: str) -> None:
    s3.put_object(
        Bucket=place.bucket, Key=place.key(rejected + REASON), Body=f"{reason}\n".encode(),
        ContentType="text/plain; charset=utf-8",
    )  # fmt: skip


class _Unfit(Exception):
    """The file's own fault, not the store's or the network's."""


def _import(params: Params, file: Path, store: Store) -> str:
    """Import a file; raises _Unfit if it cannot be read, or holds rows that are no judgements of this project."""
    with open_import_context(params) as project:
        try:
            with prepare_import(file, project, None) as read:
                read.require_whole()
        except UserError as error:
            raise _Unfit(str(error)) from error
        with prepare_import(file, project, store) as read:  # what this raises is the store's
            try:
                read.require_whole()
            except UserError as error:
                raise _Unfit(str(error)) from error
            return format_counts(commit_import(read, project, store))


def _away(folder: str, name: str, digest: str) -> str:
    """Where a file goes: by its content, so that next week's file of the same name does not replace it."""
    path = PurePosixPath(name)
    return f"{folder}{path.with_name(f'{path.stem}-{digest[:_DIGITS]}{path.suffix}')}"


def _move(s3: Any, place: S3Location, dropped: _Dropped, file: Path, to: str) -> None:
    """Store what was imported, then delete that, and only that; a newer file under the name stays for the next time."""
    # Not copied by the server: by now the name may hold a newer file.
    put_new_file(s3, place, to, file, sha256_of_file(file))
    _delete(s3, place, dropped)


def _delete(s3: Any, place: S3Location, dropped: _Dropped) -> None:
    from botocore.exceptions import ClientError

    key = place.key(dropped.name)
    try:
        now = head_object(s3, place.bucket, key)  # for servers that know no condition on a deletion
        if now is not None and now["ETag"] == dropped.etag:
            s3.delete_object(Bucket=place.bucket, Key=key, IfMatch=dropped.etag)
    except ClientError as error:
        if error_code(error) not in (*CHANGED, *ABSENT):
            raise


def fetch_feedback() -> None:
    """Take what others dropped into the inbox, where params name one; before the snapshot, which then holds it."""
    params = load_params(PARAMS)
    if params.feedback.inbox:
        fetch_for_run(params)
