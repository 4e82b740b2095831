"""A commit on a branch that nobody has checked out, by git's plumbing: working tree, index and HEAD stay untouched."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.versioning.git import asked, git
from hfi_core.errors import UserError

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


def uncommitted(*paths: str) -> list[str]:
    """Those of the paths whose files differ from HEAD."""
    return git("diff", "--name-only", "--relative", "HEAD", "--", *paths).splitlines()


def records_of(branch: str) -> list[str]:
    """The records on a branch, the newest first; none where there is no such branch."""
    told = asked("log", f"--format=%H %(trailers:key={_SOURCE},valueonly)", _ref(branch)) or ""
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
    return asked("rev-parse", "--verify", "--quiet", f"{commit}:{path}")


def _tip(branch: str) -> str | None:
    return asked("rev-parse", "--verify", "--quiet", f"{_ref(branch)}^{{commit}}")


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def _is_record(commit: str) -> bool:
    return bool(git("log", "-1", f"--format=%(trailers:key={_SOURCE},valueonly)", commit))


def _is_ancestor(one: str, other: str) -> bool:
    return asked("merge-base", "--is-ancestor", one, other) is not None


def _identity() -> dict[str, str]:
    """Who commits, where git does not know it: a worker's account is often nobody's."""
    if asked("var", "GIT_COMMITTER_IDENT") is not None and asked("var", "GIT_AUTHOR_IDENT") is not None:
        return {}
    roles = ("AUTHOR", "COMMITTER")
    return {f"GIT_{role}_{key}": value for role in roles for key, value in (("NAME", _NAME), ("EMAIL", _ADDRESS))}
