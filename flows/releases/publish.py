"""Publish a release to a folder or S3, under a name whose content never changes.

The release's list of digests is written last: whoever sees it sees every file that it names.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from flows.releases.download import download_release
from flows.releases.versions import find_own_release
from flows.storage.s3 import (
    SCHEME,
    S3Location,
    as_user_error,
    is_stored,
    list_objects,
    make_client,
    parse_s3_address,
    put_new_file,
)
from flows.tracking.client import registry_client, registry_errors_as_user_errors
from hfi_core.errors import UserError, listed
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params, Publish
from hfi_core.pipeline.layout import RELEASE
from hfi_core.pipeline.release import DIGESTS, release_digest, require_whole
from hfi_core.progress import Progress, no_progress

_NAME_DIGITS = 16
_TOKENS = "tokens/"
_MAX_NAMED = 3
"""Files that a message names."""
_RETRY = "Nothing that is published was changed.\nTo fix this: run this again. It continues with what is missing."


@dataclass(frozen=True)
class Published:
    """A published release."""

    address: str
    """`s3://bucket/prefix/name`, or a folder."""
    digest: str
    """The release's digest, as the registry has it."""
    files: int
    sent: int
    """Files that did not exist there yet; 0 if the release had been published before."""
    excluded: int
    """Files of tokens that `publish.tokens` excludes."""


def release_name(params: Params, release: Path = RELEASE) -> str:
    """Return the immutable name of a release: `MODEL/sha256-<the first digits of its digest>`.

    Raises UserError if there is no release.
    """
    return f"{params.release.model}/sha256-{release_digest(release)[:_NAME_DIGITS]}"


def publish(
    params: Params, release: Path, name: str, *, dry_run: bool = False, progress: Progress = no_progress
) -> Published:
    """Publish a release at `publish.to`/`name`. The same release again is compared with its copy, and changes nothing.

    Raises UserError if the release is damaged, another one has the name, or the location is out of reach. Files that
    were sent before an error are not sent again.
    """
    digest = release_digest(release)
    files = require_whole(release)
    chosen = {
        name: of_file.removeprefix("sha256:")
        for name, of_file in sorted(files.items())
        if params.publish.tokens or not name.startswith(_TOKENS)
    }
    digests = {**chosen, DIGESTS: digest}  # in the order in which they are sent
    names = [*digests]
    excluded = len(files) - len(chosen)
    to = params.publish.to
    if to.startswith(SCHEME):
        location = parse_s3_address(to, *name.split("/"))
        sent = _publish_to_s3(params, release, digests, location, dry_run, progress)
        return Published(str(location).rstrip("/"), digest, len(names), sent, excluded)
    folder = Path(to, *name.split("/"))
    sent = _publish_to_folder(release, names, folder, dry_run)
    return Published(str(folder), digest, len(names), sent, excluded)


def _publish_to_folder(release: Path, names: list[str], folder: Path, dry_run: bool) -> int:
    """Copy all files, or none if they exist; return how many were copied."""
    with nullcontext() if dry_run else _lock(folder):
        if folder.exists():
            _refuse_strays(folder, names, (path.relative_to(folder).as_posix() for path in _files(folder)))
            for name in names:
                if not (folder / name).is_file() or sha256_of_file(folder / name) != sha256_of_file(release / name):
                    raise UserError(
                        f"{folder / name} differs from that of {release}, and what is published is never replaced.\n"
                        f"To fix this: if {folder} was damaged, remove it and publish again."
                    )
            return 0
        if not dry_run:
            with atomic_folder(folder) as beside:
                for name in names:
                    (beside / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(release / name, beside / name)
        return len(names)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one process publish to a folder at a time: nothing may change between check and rename."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent.absolute() / ".publishing.lock"):
            yield
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}. {_RETRY}") from error


def _publish_to_s3(
    params: Params, release: Path, digests: dict[str, str], location: S3Location, dry_run: bool, progress: Progress
) -> int:
    """Send the files that are not there yet, in the order of their digests; return how many those were."""
    with as_user_error(location, _RETRY):
        s3 = make_client(params.publish.endpoint)
        stored = {entry["Key"].removeprefix(location.prefix) for entry in list_objects(s3, location)}
        _refuse_strays(location, [*digests], stored)
        if DIGESTS in stored:  # the list of another release is refused before anything is sent
            is_stored(s3, location, DIGESTS, release / DIGESTS, digests[DIGESTS])
        if dry_run:
            return len(digests.keys() - stored)
        sizes = {name: (release / name).stat().st_size for name in digests}
        done, sent = 0, 0
        for name, sha256 in digests.items():
            sent += put_new_file(s3, location, name, release / name, sha256, **encryption_of(params.publish))
            done += sizes[name]
            progress(done, sum(sizes.values()), "bytes")
        return sent


def encryption_of(publish: Publish) -> dict[str, str]:
    """Return the arguments that request encryption of an object in S3."""
    return {"ServerSideEncryption": publish.encryption} if publish.encryption else {}


def _refuse_strays(location: object, names: list[str], stored: Iterable[str]) -> None:
    """Raise UserError if a location holds files that do not belong to the release."""
    strays = sorted(set(stored) - set(names))
    if any(name.startswith(_TOKENS) for name in strays):
        raise UserError(
            f"{location} holds tokens that must not be there ({strays[0]}): publish.tokens in operations.yaml excludes "
            "them, or they belong to another release.\nTo fix this: check them, and remove them."
        )
    if strays:
        raise UserError(
            f"{location} holds files that are not of this release ({listed(strays, _MAX_NAMED)}), so another release "
            "may have the name.\nTo fix this: check them, and remove them if nobody needs them."
        )


def publish_version(params: Params, name: str, *, dry_run: bool = False, progress: Progress = no_progress) -> Published:
    """Publish the release of a version (a number, or an alias) as `publish` does.

    If the version is or was champion, its tag `published` says where. No gate is checked. The record of promotions does
    not change: it says where each one was published at that time.
    Raises UserError if there is no such version of `release.model`, it is not what was registered, or as `publish`.
    """
    registered = find_own_release(params, name)
    client = registry_client(params)
    with tempfile.TemporaryDirectory() as scratch:
        with registry_errors_as_user_errors(params.tracking):
            version = client.get_model_version(registered.model, registered.number)
            try:
                release = download_release(params, client, version, Path(scratch))
            except UserError as error:
                raise UserError(f"{registered} cannot be published: {error}.") from error
        published = publish(params, release, release_name(params, release), dry_run=dry_run, progress=progress)
    if not dry_run and "published" in version.tags:
        with registry_errors_as_user_errors(params.tracking):
            client.set_model_version_tag(registered.model, registered.number, "published", published.address)
    return published
