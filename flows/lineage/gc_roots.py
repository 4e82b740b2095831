"""What points at data in DVC's cache: this workspace, git, the records of deployed runs, registered versions.

Each is read from the files that name the data, so a state counts whether or not its pipeline can still be run.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.releases.champion import PREFIX
from flows.releases.versions import Version, versions
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
from hfi_core.pipeline.layout import DVC_LOCK

_JUDGEMENTS = Path("data/feedback")
_SHOWN = 5
"""Other models that a message names."""


@dataclass(frozen=True)
class Root:
    """Something that points at data."""

    name: str
    data: frozenset[CachedObject]

    @property
    def bytes(self) -> int:
        """Of all that it points at."""
        return sum(one.bytes for one in self.data)


def gc_roots(params: Params) -> list[Root]:
    """Everything whose data must stay.

    Raises UserError where it cannot be told: the registry is out of reach, or a version's record is missing or torn.
    """
    found = [_workspace(), *_refs(), _records(params), _judgements(params), *_versions(params)]
    return [keeper for keeper in found if keeper.data]


def _workspace() -> Root:
    with open_repository() as repo:
        outs = [out for out in repo.index.outs if out.use_cache and out.hash_info]
        data = {
            CachedObject(out.hash_name, out.hash_info.value, out.meta.size or 0, out.meta.nfiles or 1) for out in outs
        }
    if DVC_LOCK.exists():  # rows that params name no more, too: they may be named again
        data.update(read_pointers(DVC_LOCK.read_text(encoding="utf-8"), f"{DVC_LOCK}"))
    return Root("this workspace", frozenset(data))


def _refs() -> Iterator[Root]:
    """Branches, tags and what was fetched of other repositories' branches; and HEAD, which may be none of them."""
    names = {"refs/heads/": "branch ", "refs/tags/": "tag ", "refs/remotes/": "branch "}
    listed = _git("for-each-ref", "--format=%(refname)", *names).split()
    for ref in ["HEAD", *listed]:
        if commit := try_git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
            known = next((prefix for prefix in names if ref.startswith(prefix)), None)
            yield _state(f"{names[known]}{ref.removeprefix(known)}" if known else "the commit checked out", commit)


def _records(params: Params) -> Root:
    branch = params.versioning.branch
    states = [_state(f"record {commit[:12]} of {branch}", commit) for commit in list_records(branch)]
    return Root(f"{len(states)} record(s) of {branch}", frozenset().union(*(state.data for state in states)))


def _judgements(params: Params) -> Root:
    """Every file of judgements that any commit ever named: no later one stands for what people said then."""
    paths = [f"{_JUDGEMENTS.as_posix()}/*.dvc", dvc_file_of(Path(params.feedback.file)).as_posix()]
    listed = _git("rev-list", "--all", "--objects", "--", *paths)
    blobs = [line.split(" ", 1) for line in listed.splitlines() if line.endswith(".dvc")]
    data = {one for blob, path in blobs for one in _named_by(blob, path)}
    return Root("judgements in any commit", frozenset(data))


def _state(name: str, commit: str) -> Root:
    data: set[CachedObject] = set()
    for entry in _git("ls-tree", "-r", "-z", commit, "--", ".").split("\0"):
        about, _, path = entry.partition("\t")
        if is_pointer(path):
            data.update(_named_by(about.split()[2], f"{path} of {name}"))
    return Root(name, frozenset(data))


@cache
def _named_by(blob: str, where: str) -> frozenset[CachedObject]:
    return frozenset(read_pointers(_git("cat-file", "blob", blob), where))


def _git(*arguments: str) -> str:
    """Unlike elsewhere a failure must not pass for "nothing": data would be taken for garbage."""
    return git(*arguments, so="so nothing is removed")


def _versions(params: Params) -> Iterator[Root]:
    """Of `release.model`: a server may hold other projects' models, and what those need is not in this cache."""
    known, ours = versions(params), params.release.model
    for version in known:
        if version.model == ours:
            yield Root(_described(version), frozenset(_recorded(params, version)))
    if others := sorted({version.model for version in known} - {ours}):
        warn(
            f"Other models in this registry keep nothing here: {listed(others, _SHOWN)}. If one of them is this "
            f"project's, from before release.model was {ours}, put a git tag on the commit with its dvc.lock first."
        )


def _described(version: Version) -> str:
    roles = list(version.aliases)
    if "champion" not in roles and any(tag.startswith(PREFIX) for tag in version.tags):
        roles.append("was champion")
    return f"{version} ({', '.join(roles)})" if roles else f"{version}"


def _recorded(params: Params, version: Version) -> Iterable[CachedObject]:
    """What the pointers that were stored with a version name."""
    import mlflow
    from mlflow.exceptions import MlflowException

    if pointers.TAG not in version.tags:
        raise UserError(
            f"{version} was registered without a record of its data ({pointers.TAG}): what it needs is not known, and "
            "nothing is removed. Delete the version in MLflow if nobody needs it; `dvc gc` asks no registry."
        )
    with TemporaryDirectory() as scratch:
        try:
            address = f"runs:/{version.run}/{pointers.FOLDER}"
            mlflow.artifacts.download_artifacts(address, dst_path=scratch, tracking_uri=params.tracking.mlflow)
        except (MlflowException, OSError) as error:
            raise UserError(
                f"The record of {version}'s data cannot be read from MLflow ({first_line(error)}), so nothing "
                "is removed."
            ) from error
        folder = Path(scratch) / pointers.FOLDER
        if sha256_of_folder(folder) != version.tags[pointers.TAG]:
            raise UserError(f"The record of {version}'s data is not the one that was stored ({pointers.TAG}).")
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_pointer(path.name)]
        return [one for path in files for one in read_pointers(path.read_text("utf-8"), f"{path.name} of {version}")]
