"""A commit on a branch that nobody has checked out, by git's plumbing: working tree, index and HEAD stay untouched."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.versioning.git import git, try_git
from flows.versioning.pointers import pointer_files
from flows.versioning.repo import push_data
from hfi_core.errors import UserError
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params
from hfi_core.pipeline.graph import units_of
from hfi_core.pipeline.layout import DVC_LOCK, DVC_YAML, PARAMS
from hfi_core.secrets import without_passwords

_SOURCE = "Hfi-Source"
"""Trailer with the commit that a record was made from; by it the branch's commits are known as the pipeline's."""
_NAME, _ADDRESS = "HFI pipeline", "hfi@localhost"


def require_free(branch: str) -> None:
    """Raise UserError where records could not be committed on a branch: it is checked out, or somebody else's."""
    git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", otherwise="Nothing is committed here yet: commit first.")
    if f"branch {_ref(branch)}" in git("worktree", "list", "--porcelain").splitlines():
        raise UserError(
            f"versioning.branch {branch!r} is checked out, and a record must not change files under anybody's hands: "
            "name another branch in params.yaml, or check out another one."
        )
    tip = _tip(branch)
    if tip and not _is_record(tip) and not _is_ancestor(tip, "HEAD"):
        raise UserError(
            f"versioning.branch {branch!r} ends with {tip[:12]}, which is no record of this pipeline: name another "
            "branch in params.yaml, or merge what is on it into the one that is checked out."
        )


def commit_record(branch: str, files: Mapping[Path, bytes], subject: str, told: Mapping[str, str]) -> str | None:
    """Commit the tree of HEAD with `files` (paths from here) in it; the new commit, or None where they are there.

    `told` are further trailers. Raises UserError as `require_free` does, and if the branch moves meanwhile.
    """
    require_free(branch)
    tip, head = _tip(branch), git("rev-parse", "HEAD")
    prefix = git("rev-parse", "--show-prefix")
    blobs = {f"{prefix}{path.as_posix()}": _blob(content) for path, content in files.items()}
    if tip and all(_blob_at(tip, path) == blob for path, blob in blobs.items()):
        return None
    tree = _tree(head, blobs)
    parents = [tip, head] if tip and not _is_ancestor(head, tip) else [tip or head]
    if tip and _is_ancestor(tip, head):
        parents = [head]
    trailers = {**told, _SOURCE: head}
    message = f"{subject}\n\n" + "".join(f"{name}: {value}\n" for name, value in trailers.items())
    named = [part for parent in parents for part in ("-p", parent)]
    commit = git("commit-tree", tree, *named, "-F", "-", content=message.encode(), **_identity())
    git(
        "update-ref", "-m", "hfi: record results", _ref(branch), commit, tip or "0" * len(commit),
        otherwise=f"The branch {branch!r} was moved while a record was made; the next run records it.",
    )  # fmt: skip
    return commit


def list_uncommitted(*paths: str) -> list[str]:
    """Those of the paths whose files differ from HEAD."""
    return git("diff", "--name-only", "--relative", "HEAD", "--", *paths).splitlines()


def list_records(branch: str) -> list[str]:
    """The records on a branch, the newest first; none where there is no such branch."""
    told = try_git("log", f"--format=%H %(trailers:key={_SOURCE},valueonly)", _ref(branch)) or ""
    return [line.split()[0] for line in told.splitlines() if len(line.split()) == 2]


def _tree(head: str, blobs: Mapping[str, str]) -> str:
    with TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", head, **index)
        lines = "".join(f"100644 {blob}\t{path}\n" for path, blob in blobs.items())
        git("update-index", "--add", "--index-info", content=lines.encode(), **index)
        return git("write-tree", **index)


def _blob(content: bytes) -> str:
    return git("hash-object", "-w", "--no-filters", "--stdin", content=content)


def _blob_at(commit: str, path: str) -> str | None:
    return try_git("rev-parse", "--verify", "--quiet", f"{commit}:{path}")


def _tip(branch: str) -> str | None:
    return try_git("rev-parse", "--verify", "--quiet", f"{_ref(branch)}^{{commit}}")


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def _is_record(commit: str) -> bool:
    return bool(git("log", "-1", f"--format=%(trailers:key={_SOURCE},valueonly)", commit))


def _is_ancestor(one: str, other: str) -> bool:
    return try_git("merge-base", "--is-ancestor", one, other) is not None


def _identity() -> dict[str, str]:
    """Who commits, where git does not know it: a worker's account is often nobody's."""
    if try_git("var", "GIT_COMMITTER_IDENT") is not None and try_git("var", "GIT_AUTHOR_IDENT") is not None:
        return {}
    roles = ("AUTHOR", "COMMITTER")
    return {f"GIT_{role}_{key}": value for role in roles for key, value in (("NAME", _NAME), ("EMAIL", _ADDRESS))}


@dataclass(frozen=True)
class Record:
    """What became of a record."""

    branch: str
    commit: str | None
    """None where the branch held this state already."""
    remote: str | None

    def __str__(self) -> str:
        data = f"data in {self.remote!r}" if self.remote else "data only here"
        return f"{self.branch}: {self.commit[:12] if self.commit else 'holds this state'}; {data}"


def require_recordable(params: Params) -> None:
    """Raise UserError, before anything runs, where params ask for a record that could not be made."""
    if params.versioning.commit == "branch":
        require_free(params.versioning.branch)
        _require_no_password()


def record_results(params: Params, run: str) -> Record | None:
    """Record the state that lies here, under the project's lock; None where params ask for no record.

    `run` names the flow run. Raises UserError if the branch is not free, params hold a password, or data does not reach
    the remote: then nothing is committed.
    """
    wanted = params.versioning
    if wanted.commit == "none" or not DVC_LOCK.exists():
        return None
    require_recordable(params)
    if wanted.push:
        missing = push_data(wanted.push)
        if missing:
            raise UserError(
                f"{len(missing)} of what dvc.lock names did not reach the DVC remote {wanted.push!r} "
                f"({', '.join(sorted(missing)[:3])}), so nothing was committed. `dvc status --cloud --remote "
                f"{wanted.push}` shows it."
            )
    paths = [PARAMS, DVC_YAML, *pointer_files(units_of(params))]
    told = {"Hfi-Run": run, "Hfi-Data": wanted.push or "not pushed"}
    feedback = Path(params.feedback.file)
    if feedback.exists():
        told["Hfi-Feedback"] = sha256_of_file(feedback)
    if changed := list_uncommitted(str(PARAMS), str(DVC_YAML)):
        told["Hfi-Uncommitted"] = ", ".join(changed)
    subject = f"Record results of {params.tracking.experiment}"
    commit = commit_record(wanted.branch, {path: path.read_bytes() for path in paths}, subject, told)
    return Record(wanted.branch, commit, wanted.push)


def _require_no_password() -> None:
    text = PARAMS.read_text(encoding="utf-8")
    if without_passwords(text) != text:
        raise UserError(
            f"{PARAMS} holds a password, and a record would put it into git for good: take it out. Addresses "
            "need none: ~/.pgpass, PGPASSWORD and MLFLOW_TRACKING_PASSWORD are read."
        )
