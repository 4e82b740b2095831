"""Find what references data in DVC's cache: this workspace, git, the records of deployed runs, registered versions.

Each root is read from the files that name the data. A state therefore counts even if its pipeline cannot run any more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.releases.champion import PREFIX
from flows.releases.versions import Version, list_versions
from flows.runtime.console import warn
from flows.versioning import pointers
from flows.versioning.git import git, try_git
from flows.versioning.inputs import dvc_file_of
from flows.versioning.pointers import CachedObject, is_pointer, read_pointers
from flows.versioning.repo import open_repository
from flows.versioning.results_branch import list_records
from hfi_core.errors import UserError, first_line, listed
from hfi_core.io.hashing import sha256_of_folder
from hfi_core.params import Params
from hfi_core.pipeline.layout import DVC_LOCK, HUMAN_EVALUATION

_JUDGEMENTS = Path("data/feedback")
_MAX_NAMED = 5
"""Other models that a message names."""


@dataclass(frozen=True)
class Root:
    """Something that references data."""

    name: str
    data: frozenset[CachedObject]

    @property
    def bytes(self) -> int:
        """Return the size of all that it references."""
        return sum(each.bytes for each in self.data)


def find_roots(params: Params) -> list[Root]:
    """Return everything whose data must stay.

    Raises UserError if that is not known: the registry is out of reach, or a version's record is missing or damaged.
    """
    roots = [
        _workspace(),
        *_refs(),
        _records(params.versioning.branch),
        _judgements(params),
        *_versions(params),
    ]
    return [root for root in roots if root.data]


def _workspace() -> Root:
    with open_repository() as repo:
        outs = [out for out in repo.index.outs if out.use_cache and out.hash_info]
        data = {
            CachedObject(out.hash_name, out.hash_info.value, out.meta.size or 0, out.meta.nfiles or 1) for out in outs
        }
    if DVC_LOCK.exists():  # with variants that params do not name any more: they may be named again
        data.update(read_pointers(DVC_LOCK.read_text(encoding="utf-8"), f"{DVC_LOCK}"))
    return Root("this workspace", frozenset(data))


def _refs() -> Iterator[Root]:
    """Yield branches, tags and fetched branches of other repositories; and HEAD, which may be none of them."""
    kinds = {"refs/heads/": "branch ", "refs/tags/": "tag ", "refs/remotes/": "branch "}
    refs = _git("for-each-ref", "--format=%(refname)", *kinds).split()
    for ref in ["HEAD", *refs]:
        if commit := try_git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
            prefix = next((prefix for prefix in kinds if ref.startswith(prefix)), None)
            name = f"{kinds[prefix]}{ref.removeprefix(prefix)}" if prefix else "the commit checked out"
            yield _read_commit(name, commit)


def _records(branch: str) -> Root:
    states = [_read_commit(f"record {commit[:12]} of {branch}", commit) for commit in list_records(branch)]
    return Root(f"{len(states)} record(s) of {branch}", frozenset().union(*(state.data for state in states)))


def _judgements(params: Params) -> Root:
    """Return every file of judgements that any commit ever named: no later file replaces what people said then."""
    files = [params.feedback.file, *([params.evaluate.people.file] if params.evaluate.people else [])]
    folders = [f"{_JUDGEMENTS.as_posix()}/*.dvc", HUMAN_EVALUATION.as_posix()]
    paths = [*folders, *(dvc_file_of(Path(file)).as_posix() for file in files)]
    objects = _git("rev-list", "--all", "--objects", "--", *paths)
    blobs = [line.split(" ", 1) for line in objects.splitlines() if line.endswith(".dvc")]
    data = {each for blob, path in blobs for each in _read_blob(blob, path)}
    return Root("judgements in any commit", frozenset(data))


def _read_commit(name: str, commit: str) -> Root:
    data: set[CachedObject] = set()
    for entry in _git("ls-tree", "-r", "-z", commit, "--", ".").split("\0"):
        attributes, _, path = entry.partition("\t")
        if is_pointer(path):
            data.update(_read_blob(attributes.split()[2], f"{path} of {name}"))
    return Root(name, frozenset(data))


@cache
def _read_blob(blob: str, source: str) -> frozenset[CachedObject]:
    return frozenset(read_pointers(_git("cat-file", "blob", blob), source))


def _git(*arguments: str) -> str:
    """Call git. Here a failure must not count as "nothing": data would be taken for garbage."""
    return git(*arguments, context="so nothing is deleted")


def _versions(params: Params) -> Iterator[Root]:
    """Yield the versions of `release.model`. Other models may be other projects', whose data is not in this cache."""
    versions, own = list_versions(params), params.release.model
    for version in versions:
        if version.model == own:
            yield Root(_describe(version), frozenset(_read_record(params, version)))
    if others := sorted({version.model for version in versions} - {own}):
        warn(
            f"Other models in this registry keep nothing here: {listed(others, _MAX_NAMED)}. If one of them is this "
            f"project's, from before release.model was {own}, put a git tag on the commit with its dvc.lock first."
        )


def _describe(version: Version) -> str:
    roles = list(version.aliases)
    if "champion" not in roles and any(tag.startswith(PREFIX) for tag in version.tags):
        roles.append("was champion")
    return f"{version} ({', '.join(roles)})" if roles else f"{version}"


def _read_record(params: Params, version: Version) -> Iterable[CachedObject]:
    """Return the data that the pointers of a version name; registration stored them in MLflow."""
    import mlflow
    from mlflow.exceptions import MlflowException

    if pointers.TAG not in version.tags:
        raise UserError(
            f"{version} was registered without a record of its data ({pointers.TAG}). What it needs is not known, so "
            "nothing is deleted.\nTo fix this: delete the version in MLflow if nobody needs it, or run `dvc gc`, which "
            "does not read the registry."
        )
    with TemporaryDirectory() as scratch:
        try:
            address = f"runs:/{version.run}/{pointers.FOLDER}"
            mlflow.artifacts.download_artifacts(address, dst_path=scratch, tracking_uri=params.tracking.mlflow)
        except (MlflowException, OSError) as error:
            raise UserError(
                f"The record of {version}'s data cannot be read from MLflow, so nothing is deleted: {first_line(error)}"
            ) from error
        folder = Path(scratch) / pointers.FOLDER
        if sha256_of_folder(folder) != version.tags[pointers.TAG]:
            raise UserError(
                f"The record of {version}'s data is not what was stored ({pointers.TAG}), so nothing is deleted."
            )
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_pointer(path.name)]
        return [each for path in files for each in read_pointers(path.read_text("utf-8"), f"{path.name} of {version}")]
