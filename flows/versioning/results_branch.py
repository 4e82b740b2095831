"""Commit the results of a run to the results branch (`versioning.branch`), and their data to a DVC remote.

Nobody has that branch checked out. The commits are made by git's plumbing commands, so the working tree, the index and
HEAD stay as they are, even while somebody works in the project.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.versioning.git import git, try_git
from flows.versioning.pointers import pointer_files, settings_files
from flows.versioning.repo import push_data
from hfi_core.errors import UserError, listed
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params, Versioning
from hfi_core.pipeline.graph import units_of
from hfi_core.pipeline.layout import DVC_LOCK, DVC_YAML, OPERATIONS, PARAMS
from hfi_core.secrets import hide_passwords

_SOURCE = "Hfi-Source"
"""Trailer with the commit that a record was made from. It marks the branch's commits as this pipeline's."""
_NAME, _EMAIL = "HFI pipeline", "hfi@localhost"


@dataclass(frozen=True)
class Record:
    """Outcome of recording one run."""

    branch: str
    commit: str | None
    """None if the branch already held this state."""
    remote: str | None
    """The DVC remote that holds the data; None if the data was not pushed."""

    def __str__(self) -> str:
        data = f"data in {self.remote!r}" if self.remote else "data only on this machine"
        return f"{self.branch}: {self.commit[:12] if self.commit else 'already holds this state'}; {data}"


def require_recordable(versioning: Versioning) -> None:
    """Raise UserError if params ask for a record that could not be made: called before anything runs."""
    if versioning.commit == "branch":
        _require_free(versioning.branch)
        _require_no_password()


def record_results(params: Params, run: str) -> Record | None:
    """Record the project's present state, under the project's lock; return None if params ask for no record.

    `run` is the name of the flow run.

    Raises UserError, with nothing committed, if the branch is not free, if params hold a password, or if data does not
    reach the remote.
    """
    versioning = params.versioning
    if versioning.commit == "none" or not DVC_LOCK.exists():
        return None
    require_recordable(params.versioning)
    if versioning.push:
        _push(versioning.push)
    units = list(units_of(params))
    files = [*settings_files(units), DVC_YAML, *pointer_files(units)]
    commit = _commit(
        versioning.branch,
        {path: path.read_bytes() for path in files},
        f"Record results of {params.tracking.experiment}",
        _trailers(params, run),
    )
    return Record(versioning.branch, commit, versioning.push)


def list_records(branch: str) -> list[str]:
    """Return the commits of a branch that are records, the newest first; none if there is no such branch."""
    log = try_git("log", f"--format=%H %(trailers:key={_SOURCE},valueonly)", _ref(branch)) or ""
    return [line.split()[0] for line in log.splitlines() if len(line.split()) == 2]


def _require_free(branch: str) -> None:
    """Raise UserError if the branch is checked out, or holds commits of somebody else."""
    git(
        "rev-parse", "--verify", "--quiet", "HEAD^{commit}",
        error_message="This repository has no commit yet. To fix this: commit the project's files first.",
    )  # fmt: skip
    if f"branch {_ref(branch)}" in git("worktree", "list", "--porcelain").splitlines():
        raise UserError(
            f"versioning.branch {branch!r} is checked out, and a record must not change files that somebody works on. "
            "To fix this: name another branch in operations.yaml, or check out another one."
        )
    tip = _tip(branch)
    if tip and not _is_record(tip) and not _is_ancestor(tip, "HEAD"):
        raise UserError(
            f"versioning.branch {branch!r} ends with {tip[:12]}, which is not a record of this pipeline. To fix this: "
            "name another branch in operations.yaml, or merge that branch into the one that is checked out."
        )


def _require_no_password() -> None:
    for path in (PARAMS, OPERATIONS):
        text = path.read_text(encoding="utf-8")
        if hide_passwords(text) != text:
            raise UserError(
                f"{path} holds a password, and a record would keep it in git for ever. To fix this: remove it. "
                "Addresses work without one: ~/.pgpass, PGPASSWORD and MLFLOW_TRACKING_PASSWORD are read."
            )


def _push(remote: str) -> None:
    if missing := push_data(remote):
        raise UserError(
            f"{len(missing)} of the files in dvc.lock did not reach the DVC remote {remote!r} "
            f"({listed(sorted(missing), 3)}), so nothing was committed. `dvc status --cloud --remote {remote}` lists "
            "them."
        )


def _trailers(params: Params, run: str) -> dict[str, str]:
    trailers = {"Hfi-Run": run, "Hfi-Data": params.versioning.push or "not pushed"}
    feedback = Path(params.feedback.file)
    if feedback.exists():
        trailers["Hfi-Feedback"] = sha256_of_file(feedback)
    paths = map(str, (*settings_files(units_of(params)), DVC_YAML))
    changed = git("diff", "--name-only", "--relative", "HEAD", "--", *paths).splitlines()
    if changed:
        trailers["Hfi-Uncommitted"] = ", ".join(changed)
    return trailers


def _commit(branch: str, files: Mapping[Path, bytes], subject: str, trailers: Mapping[str, str]) -> str | None:
    """Commit the tree of HEAD with `files` in it to the branch; return the commit, or None if the tip holds the files.

    Paths are relative to the current folder. Raises UserError if the branch moves meanwhile.
    """
    tip, head = _tip(branch), git("rev-parse", "HEAD")
    prefix = git("rev-parse", "--show-prefix")
    blobs = {f"{prefix}{path.as_posix()}": _write_blob(content) for path, content in files.items()}
    if tip and all(_read_blob(tip, path) == blob for path, blob in blobs.items()):
        return None
    message = f"{subject}\n\n" + "".join(f"{name}: {value}\n" for name, value in {**trailers, _SOURCE: head}.items())
    parents = [argument for parent in _parents(tip, head) for argument in ("-p", parent)]
    tree = _write_tree(head, blobs)
    commit = git("commit-tree", tree, *parents, "-F", "-", content=message.encode(), env=_identity())
    git(
        "update-ref", "-m", "hfi: record results", _ref(branch), commit, tip or "0" * len(commit),
        error_message=f"The branch {branch!r} moved while a record was made; the next run records this state.",
    )  # fmt: skip
    return commit


def _parents(tip: str | None, head: str) -> list[str]:
    """Return the previous record and the commit that was run; only one of them if it contains the other."""
    if tip is None or _is_ancestor(tip, head):
        return [head]
    return [tip] if _is_ancestor(head, tip) else [tip, head]


def _write_tree(head: str, blobs: Mapping[str, str]) -> str:
    with TemporaryDirectory() as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", head, env=env)
        lines = "".join(f"100644 {blob}\t{path}\n" for path, blob in blobs.items())
        git("update-index", "--add", "--index-info", content=lines.encode(), env=env)
        return git("write-tree", env=env)


def _write_blob(content: bytes) -> str:
    return git("hash-object", "-w", "--no-filters", "--stdin", content=content)


def _read_blob(commit: str, path: str) -> str | None:
    return try_git("rev-parse", "--verify", "--quiet", f"{commit}:{path}")


def _tip(branch: str) -> str | None:
    return try_git("rev-parse", "--verify", "--quiet", f"{_ref(branch)}^{{commit}}")


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def _is_record(commit: str) -> bool:
    return bool(git("log", "-1", f"--format=%(trailers:key={_SOURCE},valueonly)", commit))


def _is_ancestor(commit: str, descendant: str) -> bool:
    return try_git("merge-base", "--is-ancestor", commit, descendant) is not None


def _identity() -> dict[str, str]:
    """Author and committer where git has none: a worker's account often has no name."""
    if try_git("var", "GIT_COMMITTER_IDENT") is not None and try_git("var", "GIT_AUTHOR_IDENT") is not None:
        return {}
    roles = ("AUTHOR", "COMMITTER")
    return {f"GIT_{role}_{key}": value for role in roles for key, value in (("NAME", _NAME), ("EMAIL", _EMAIL))}
