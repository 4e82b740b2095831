"""Find the judgements behind a digest: the snapshot that it leads to, and the content of that snapshot.

The content is in `feedback.file`, in the live store, or in DVC's cache under an earlier commit.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.releases.versions import list_versions
from flows.versioning.git import try_git
from flows.versioning.inputs import dvc_file_of
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError
from hfi_core.feedback.store import open_store, store_exists
from hfi_core.io.hashing import sha256_of, sha256_of_file
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params import Params
from hfi_core.pipeline.layout import LABELS, MODELS, RELEASE
from hfi_core.pipeline.release import release_digest

_MIN_DIGITS = 8
"""Hex digits of a digest that are enough to name it."""


@dataclass(frozen=True)
class FeedbackReference:
    """What a digest names, and the snapshot that it leads to."""

    name: str
    sha256: str


@dataclass(frozen=True)
class FeedbackContent:
    """The lines of a snapshot, and their source."""

    source: str
    lines: Iterator[str]
    forgotten: int = 0
    """Judgements that it held and that have been forgotten since."""


def resolve_digest(params: Params, digest: str) -> FeedbackReference:
    """Return the snapshot that a digest, or its beginning, names or leads to.

    Raises UserError if nothing has that digest, or if several things have it.
    """
    wanted = digest.removeprefix("sha256:").lower()
    if len(wanted) < _MIN_DIGITS or set(wanted) - set("0123456789abcdef"):
        raise UserError(f"{digest!r} is not a digest: give at least {_MIN_DIGITS} hex digits of one.")
    for references in (_workspace_references, _registered_references):
        matches = {each.sha256: each for key, each in references(params) if key.startswith(wanted)}
        if len(matches) > 1:
            raise UserError(f"{digest} may be {' or '.join(sorted(matches))}: give more digits.")
        if matches:
            return next(iter(matches.values()))
    raise UserError(
        f"Nothing in this project has the digest {digest}: neither a snapshot, nor a release or a row's model, nor a "
        "registered version."
    )


def _workspace_references(params: Params) -> Iterator[tuple[str, FeedbackReference]]:
    for sha256 in _list_snapshots(params):
        yield sha256, FeedbackReference("snapshot", sha256)
    feedback = _label_feedback(params.concepts)
    outputs: list[tuple[Path, Callable[[Path], str]]] = [(RELEASE, release_digest)] if RELEASE.exists() else []
    outputs += [(MODELS / variant, sha256_of) for variant in params.removals if (MODELS / variant).is_dir()]
    for path, digest_of in outputs if feedback else ():
        for sha256 in feedback:
            yield digest_of(path), FeedbackReference(f"{path}", sha256)


def _registered_references(params: Params) -> Iterator[tuple[str, FeedbackReference]]:
    for version in list_versions(params):
        if version.release and version.feedback:
            yield version.release, FeedbackReference(f"{version}", version.feedback)


def _label_feedback(concepts: Iterable[str]) -> list[str]:
    """Return the digests of the feedback that this workspace's labels were made from."""
    summaries = [LABELS / concept / "summary.json" for concept in concepts]
    return sorted({json.loads(path.read_text("utf-8"))["feedback_sha256"] for path in summaries if path.exists()})


def find_feedback(params: Params, sha256: str) -> FeedbackContent | None:
    """Return the lines of a snapshot; None if they are not on this machine."""
    for source, path in _list_files(params.feedback.file):
        if path.is_file() and sha256_of_file(path) == sha256:
            return FeedbackContent(source, _read_lines(path))
    return _read_from_store(params, sha256)


def _list_snapshots(params: Params) -> Iterator[str]:
    for _, path in _list_files(params.feedback.file):
        if path.is_file():
            yield sha256_of_file(path)
    if store_exists(params.feedback.database_url):
        with open_store(params.feedback.database_url) as store:
            yield from (saved.sha256 for saved in store.list_snapshots())


def _read_from_store(params: Params, sha256: str) -> FeedbackContent | None:
    if not store_exists(params.feedback.database_url):
        return None
    with open_store(params.feedback.database_url) as store:
        for saved in store.list_snapshots():
            if saved.sha256 == sha256:
                forgotten = saved.judgements - sum(1 for _ in store.read_snapshot_lines(saved.number))
                return FeedbackContent("the store", _read_store_lines(params, saved.number), forgotten)
    return None


def _read_store_lines(params: Params, number: int) -> Iterator[str]:
    with open_store(params.feedback.database_url) as store:
        yield from store.read_snapshot_lines(number)


def _read_lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as stream:
        yield from (line.rstrip("\n") for line in stream)


def _list_files(feedback_file: str) -> Iterator[tuple[str, Path]]:
    """Yield the feedback file, and earlier contents of it that DVC's cache still holds."""
    path = Path(feedback_file)
    yield str(path), path
    marker = dvc_file_of(path)
    digests = {}
    if marker.exists():
        digests[_md5(read_yaml(marker))] = "DVC's cache"
    for commit in (try_git("log", "--format=%h", "--", str(marker)) or "").split():
        content = try_git("show", f"{commit}:./{marker.as_posix()}") or ""
        digests.setdefault(_md5_in(content), f"DVC's cache, of commit {commit}")
    digests.pop(None, None)
    if digests:
        with open_repository() as repo:
            files = {source: Path(repo.cache.local.oid_to_path(md5)) for md5, source in digests.items()}
        yield from files.items()


def _md5_in(text: str) -> str | None:
    import yaml

    try:
        return _md5(yaml.safe_load(text))
    except yaml.YAMLError:
        return None


def _md5(content: Any) -> str | None:
    try:
        return str(content["outs"][0]["md5"])
    except (KeyError, IndexError, TypeError):
        return None
