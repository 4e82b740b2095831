"""A release to where others take it from: a folder or S3, under a name that never changes its content.

The release's list of digests is written last: who sees it, sees everything that it names.
"""

import shutil
import tempfile
from collections.abc import Iterator
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
from hfi_core.errors import UserError
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params
from hfi_core.pipeline.layout import RELEASE
from hfi_core.pipeline.release import DIGESTS, release_digest, require_whole
from hfi_core.progress import Progress, no_progress

_DIGITS = 16
_TOKENS = "tokens/"
_AGAIN = "Nothing that is published was changed; run this again: it goes on with what is missing."


@dataclass(frozen=True)
class Published:
    """Where a release can be taken from."""

    address: str
    """`s3://bucket/prefix/name`, or a folder."""
    digest: str
    """The release's, as the registry knows it."""
    files: int
    sent: int
    """Files that were not there yet; 0 where it had been published before."""
    kept_back: int
    """Files of tokens that `publish.tokens` keeps out."""


def release_name(params: Params, release: Path = RELEASE) -> str:
    """The immutable name of a release: `MODEL/sha256-<the first digits of its digest>`.

    Raises UserError if there is no release.
    """
    return f"{params.release.model}/sha256-{release_digest(release)[:_DIGITS]}"


def publish(
    params: Params, release: Path, name: str, *, dry_run: bool = False, progress: Progress = no_progress
) -> Published:
    """Put a release under `publish.to`/`name`; the same one again is held against what is there, and changes nothing.

    Raises UserError if the release is not whole, another one has the name, or the place is out of reach. Files that
    were sent before an error are not sent again.
    """
    digest = release_digest(release)
    whole = require_whole(release)
    listed = {
        name: of_file.removeprefix("sha256:")
        for name, of_file in sorted(whole.items())
        if params.publish.tokens or not name.startswith(_TOKENS)
    }
    digests = {**listed, DIGESTS: digest}  # in the order in which they are sent
    names = [*digests]
    back = len(whole) - len(listed)
    to = params.publish.to
    if to.startswith(SCHEME):
        place = parse_s3_address(to, *name.split("/"))
        sent = _to_s3(params, release, digests, place, dry_run, progress)
        return Published(str(place).rstrip("/"), digest, len(names), sent, back)
    folder = Path(to, *name.split("/"))
    return Published(str(folder), digest, len(names), _to_folder(release, names, folder, dry_run), back)


def _to_folder(release: Path, names: list[str], folder: Path, dry_run: bool) -> int:
    """How many files had to be copied: all or none."""
    with nullcontext() if dry_run else _held(folder):
        if folder.exists():
            _refuse_strays(folder, names, (path.relative_to(folder).as_posix() for path in _files(folder)))
            for name in names:
                if not (folder / name).is_file() or sha256_of_file(folder / name) != sha256_of_file(release / name):
                    raise UserError(
                        f"{folder / name} is not the one of {release}, and what is published is never replaced. If "
                        f"{folder} was damaged, remove it and publish again."
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
def _held(folder: Path) -> Iterator[None]:
    """One publisher of a folder at a time: between looking and renaming nobody may come."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent.absolute() / ".publishing.lock"):
            yield
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}. {_AGAIN}") from error


def _to_s3(
    params: Params, release: Path, digests: dict[str, str], place: S3Location, dry_run: bool, progress: Progress
) -> int:
    """Send the files that are not there yet, in the order of their digests; return how many those were."""
    with as_user_error(place, _AGAIN):
        s3 = make_client(params.publish.endpoint)
        there = {found["Key"].removeprefix(place.prefix) for found in list_objects(s3, place)}
        _refuse_strays(place, [*digests], there)
        if DIGESTS in there:  # another release's is refused before anything is sent
            is_stored(s3, place, DIGESTS, release / DIGESTS, digests[DIGESTS])
        if dry_run:
            return len(digests.keys() - there)
        sizes = {name: (release / name).stat().st_size for name in digests}
        done, sent = 0, 0
        for name, sha256 in digests.items():
            sent += put_new_file(s3, place, name, release / name, sha256, **encryption_of(params))
            done += sizes[name]
            progress(done, sum(sizes.values()), "bytes")
        return sent


def encryption_of(params: Params) -> dict[str, str]:
    """What S3 is asked for with each object that is put there."""
    how = params.publish.encryption
    return {"ServerSideEncryption": how} if how else {}


def _refuse_strays(where: object, names: list[str], there: Iterator[str] | set[str]) -> None:
    strays = sorted(set(there) - set(names))
    if any(name.startswith(_TOKENS) for name in strays):
        raise UserError(
            f"{where} holds tokens that are not to be there ({strays[0]}): publish.tokens in params.yaml keeps them "
            "back, or they are of another release. Look at them, and remove them."
        )
    if strays:
        raise UserError(
            f"{where} holds what is not of this release ({', '.join(strays[:3])}), so another one may have the name: "
            "look at it, and remove it if nobody needs it."
        )


def publish_version(params: Params, name: str, *, dry_run: bool = False, progress: Progress = no_progress) -> Published:
    """Publish the release of a version (a number, or an alias) as `publish` does; a former champion's tag says where.

    No gate is asked, and the record of promotions stays: it says where each was published then.
    Raises UserError if there is no such version of `release.model`, it is not what was registered, or as `publish`.
    """
    found = find_own_release(params, name)
    client = registry_client(params)
    with tempfile.TemporaryDirectory() as scratch:
        with registry_errors_as_user_errors(params):
            version = client.get_model_version(found.model, found.number)
            try:
                release = download_release(params, client, version, Path(scratch))
            except UserError as error:
                raise UserError(f"{found} cannot be published: {error}.") from error
        done = publish(params, release, release_name(params, release), dry_run=dry_run, progress=progress)
    if not dry_run and "published" in version.tags:
        with registry_errors_as_user_errors(params):
            client.set_model_version_tag(found.model, found.number, "published", done.address)
    return done
