"""Import feedback files that others upload below an S3 prefix, each exactly once.

A file is imported completely, then moved to `taken/`. A file directly in the inbox that cannot be imported is moved to
`rejected/`, with the reason beside it. One in a folder below stays where it is: it may belong to somebody else. The
store recognises a repeated import, so after a crash between import and move the next try only moves the file.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from flows.feedback.address_overlaps import require_separate_addresses
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
"""A larger file is rejected. It would hold some millions of judgements, and might not fit into /tmp."""
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt")
"""Endings of files that are read in a folder below the inbox."""
_DIGEST_LENGTH = 12
_MAX_KEY_BYTES = 1024
"""S3's limit."""
_MAX_NAME_BYTES = 200
_RETRY_HINT = "What was imported is kept. Run this again: it continues with the remaining files."


@dataclass(frozen=True)
class FetchResult:
    """The files of the inbox, by name."""

    taken: dict[str, str]
    """Counts of each import, for people."""
    rejected: dict[str, str]
    """Why each file was not imported, and was moved away."""
    left: dict[str, str] = field(default_factory=dict)
    """Why each file in a folder below the inbox was not imported, and stays where it is."""


@dataclass(frozen=True)
class _InboxFile:
    """A file as it was listed. A newer one under the same key has another ETag, and is another file."""

    name: str
    etag: str
    bytes: int

    @property
    def is_below(self) -> bool:
        """Return whether the file is in a folder below the inbox."""
        return "/" in self.name


def fetch_inbox(params: Params) -> FetchResult:
    """Import the files in `feedback.inbox` into the live store, the oldest first, and move them away.

    Raises UserError if params name no inbox, a concept has no candidates yet, the disk is full, or the store is out of
    reach. Raises StorageUnreachable if the inbox is out of reach.
    """
    if params.feedback.inbox is None:
        raise UserError(
            "feedback.inbox in params.yaml is null.\n"
            "  To fix this: set it to the address where others upload files, s3://bucket/prefix."
        )
    missing = _without_candidates(params)
    if missing:
        raise UserError(
            f"There are no candidates of {', '.join(missing)} yet, so nothing was taken from the inbox.\n"
            "  To fix this: `hfi run --until generate` (or adopt) makes them."
        )
    require_separate_addresses(params)
    inbox_location = parse_s3_address(params.feedback.inbox)
    result = FetchResult({}, {})
    with as_user_error(inbox_location, _RETRY_HINT), open_store(params.feedback.database_url) as store:
        s3 = make_client(params.publish.endpoint)
        for inbox_file in _list_files(s3, inbox_location):
            if inbox_file.bytes > MAX_BYTES:
                _reject_large_file(s3, inbox_location, inbox_file, result)
                continue
            if inbox_file.is_below and PurePosixPath(inbox_file.name).suffix.lower() not in _SUFFIXES:
                result.left[inbox_file.name] = f"its name does not end with {', '.join(_SUFFIXES)}"
                continue
            name = _file_name(inbox_file.name)
            with disk_full_as_user_error(Path(gettempdir()) / name), TemporaryDirectory() as folder:
                file = Path(folder) / name
                if _download(s3, inbox_location, inbox_file, file):
                    _import_and_move(params, s3, inbox_location, inbox_file, file, store, result)
    return result


def fetch_for_run(params: Params) -> None:
    """Fetch the inbox before a run takes its snapshot, and print the result.

    Does nothing if candidates are missing, or in a clone without a store. If the inbox is out of reach, it only warns:
    the run uses the feedback that it has.
    """
    if _without_candidates(params):
        return  # this run makes them, and the next one fetches
    snapshot = Path(params.feedback.file)
    if not store_exists(params.feedback.database_url) and (dvc_file_of(snapshot).exists() or snapshot.exists()):
        return  # a clone, which uses the snapshot that it has
    try:
        result = fetch_inbox(params)
    except StorageUnreachable as error:
        warn(f"inbox: {error} This run continues with the feedback that it has.")
        return
    report_fetched(result)


def report_fetched(result: FetchResult) -> None:
    """Print the result of each file."""
    for name, counts in result.taken.items():
        info(f"inbox: {name}: {counts}")
    for name, reason in result.rejected.items():
        warn(f"inbox: {name} was rejected: {reason}")
    if result.left:
        name, reason = next(iter(result.left.items()))
        warn(
            f"inbox: {len(result.left)} file(s) in folders below stay where they are, because they are not feedback "
            f"that can be imported. The first is {name}: {reason}\n"
            "  To fix this: upload feedback directly to the inbox, or correct the file; move others out of the inbox."
        )


def _without_candidates(params: Params) -> list[str]:
    return [concept for concept, folder in list_candidate_folders(params).items() if not (folder / MANIFEST).is_file()]


def _list_files(s3: Any, inbox_location: S3Location) -> Iterator[_InboxFile]:
    """List the files in order of upload, so that an annotator's later answers come after earlier ones."""
    objects = sorted(list_objects(s3, inbox_location), key=lambda entry: (entry["LastModified"], entry["Key"]))
    for entry in objects:
        name = entry["Key"].removeprefix(inbox_location.prefix)
        if not name.startswith((TAKEN, REJECTED)):
            yield _InboxFile(name, entry["ETag"], entry["Size"])


def _file_name(name: str) -> str:
    """Return a name that every file system accepts. Its suffix stays, because it may decide the format."""
    last = PurePosixPath(name).name.replace("\0", "")
    fits = last not in ("", ".", "..") and len(last.encode()) <= _MAX_NAME_BYTES
    return last if fits else f"export{Path(last).suffix[:8]}"


def _download(s3: Any, inbox_location: S3Location, inbox_file: _InboxFile, file: Path) -> bool:
    """Download a file completely. Return False if it was deleted or replaced after it was listed."""
    from botocore.exceptions import BotoCoreError, ClientError

    for tries_left in reversed(range(MAX_ATTEMPTS)):
        try:
            response = s3.get_object(
                Bucket=inbox_location.bucket, Key=inbox_location.key(inbox_file.name), IfMatch=inbox_file.etag
            )
            with file.open("wb") as stream:
                shutil.copyfileobj(response["Body"], stream)
            if file.stat().st_size == response["ContentLength"]:
                return True
        except ClientError as error:
            if error_code(error) in (*ABSENT, *CHANGED):
                return False
            raise
        except BotoCoreError:  # cut in the middle of the body, which the client does not retry
            if not tries_left:
                raise
        except OSError as error:
            if not tries_left or error.errno in DISK_FULL_ERRORS:
                raise
    raise StorageUnreachable(f"{inbox_location.key(inbox_file.name)} was cut short {MAX_ATTEMPTS} times. {_RETRY_HINT}")


def _import_and_move(
    params: Params,
    s3: Any,
    inbox_location: S3Location,
    inbox_file: _InboxFile,
    file: Path,
    store: Store,
    result: FetchResult,
) -> None:
    try:
        result.taken[inbox_file.name] = _import(params, file, store)
    except _UnfitFile as error:
        reason = str(error).replace(str(file), inbox_file.name)
        if inbox_file.is_below:
            result.left[inbox_file.name] = reason
            return
        result.rejected[inbox_file.name] = reason
        destination = _destination(inbox_location, REJECTED, inbox_file.name, sha256_of_file(file))
        _put_reason(s3, inbox_location, destination, reason)
    else:
        destination = _destination(inbox_location, TAKEN, inbox_file.name, sha256_of_file(file))
    _move(s3, inbox_location, inbox_file, file, destination)


def _reject_large_file(s3: Any, inbox_location: S3Location, inbox_file: _InboxFile, result: FetchResult) -> None:
    """Reject a file that is too large to download. The server moves it, named by its ETag.

    One in a folder below the inbox stays where it is.
    """
    from botocore.exceptions import ClientError

    reason = (
        f"It has {inbox_file.bytes:,} bytes, and at most {MAX_BYTES:,} are allowed. To fix this: upload it in parts."
    )
    if inbox_file.is_below:
        result.left[inbox_file.name] = reason
        return
    destination = _destination(inbox_location, REJECTED, inbox_file.name, inbox_file.etag.strip('"'))
    source = {"Bucket": inbox_location.bucket, "Key": inbox_location.key(inbox_file.name)}
    try:
        s3.copy(
            source,
            inbox_location.bucket,
            inbox_location.key(destination),
            ExtraArgs={"CopySourceIfMatch": inbox_file.etag},
        )
    except ClientError as error:
        if error_code(error) in (*ABSENT, *CHANGED):
            return
        raise
    result.rejected[inbox_file.name] = reason
    _put_reason(s3, inbox_location, destination, reason)
    _delete(s3, inbox_location, inbox_file)


def _put_reason(s3: Any, inbox_location: S3Location, rejected: str, reason: str) -> None:
    s3.put_object(
        Bucket=inbox_location.bucket, Key=inbox_location.key(rejected + REASON), Body=f"{reason}\n".encode(),
        ContentType="text/plain; charset=utf-8",
    )  # fmt: skip


class _UnfitFile(Exception):
    """The file cannot be imported; the store and the network work."""


_UNFORESEEN = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
"""What code raises on content that it does not foresee. Errors of the disk and the network are not among them."""


def _import(params: Params, file: Path, store: Store) -> str:
    """Import a file. Raises _Unfit if it cannot be read, or holds rows that are not judgements of this project."""
    with open_import_context(params) as project:
        try:
            with prepare_import(file, project, None) as prepared:
                prepared.require_no_rejections()
        except UserError as error:
            raise _UnfitFile(str(error)) from error
        except _UNFORESEEN as error:  # one file must not keep the others from coming
            raise _UnfitFile(f"{file} cannot be read ({type(error).__name__}: {error}).") from error
        with prepare_import(file, project, store) as prepared:  # an error here is the store's
            try:
                prepared.require_no_rejections()
            except UserError as error:
                raise _UnfitFile(str(error)) from error
            return format_counts(commit_import(prepared, project, store))


def _destination(inbox_location: S3Location, folder: str, name: str, digest: str) -> str:
    """Return the new name of a file, with its digest: a later file of the same name must not replace it.

    A name that would exceed S3's limit for keys is shortened; the digest keeps it apart from others.
    """
    above, slash, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if not stem:  # `.`, `.csv` or a name without a dot
        stem, dot, suffix = last.strip(".") or "export", "", ""
    end = f"-{digest[:_DIGEST_LENGTH]}{dot}{suffix}"
    room = _MAX_KEY_BYTES - len((inbox_location.prefix + folder + end + REASON).encode())
    if room <= 0:  # an ending of hundreds of characters
        end = f"-{digest[:_DIGEST_LENGTH]}"
        room = _MAX_KEY_BYTES - len((inbox_location.prefix + folder + end + REASON).encode())
    return folder + (above + slash + stem).encode()[:room].decode(errors="ignore") + end


def _move(s3: Any, inbox_location: S3Location, inbox_file: _InboxFile, file: Path, destination: str) -> None:
    """Upload the imported file, then delete it from the inbox. A newer file under its name stays for the next time."""
    # Not copied by the server, where the name may already belong to a newer file.
    put_new_file(s3, inbox_location, destination, file, sha256_of_file(file))
    _delete(s3, inbox_location, inbox_file)


def _delete(s3: Any, inbox_location: S3Location, inbox_file: _InboxFile) -> None:
    from botocore.exceptions import ClientError

    key = inbox_location.key(inbox_file.name)
    try:
        current = head_object(s3, inbox_location.bucket, key)  # for servers that ignore the condition of a deletion
        if current is not None and current["ETag"] == inbox_file.etag:
            s3.delete_object(Bucket=inbox_location.bucket, Key=key, IfMatch=inbox_file.etag)
    except ClientError as error:
        if error_code(error) not in (*CHANGED, *ABSENT):
            raise


def fetch_feedback() -> None:
    """Fetch the inbox if params name one. Call it before the snapshot, which then holds the new judgements."""
    params = load_params(PARAMS)
    if params.feedback.inbox:
        fetch_for_run(params)
