"""From a digest to the judgements behind it: which snapshot it leads to, and where that snapshot's content is.

The content is in `feedback.file`, in the live store, or in DVC's cache under an earlier commit.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.releases.versions import versions
from flows.versioning.git import try_git
from flows.versioning.inputs import dvc_file_of
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError
from hfi_core.feedback.store import is_there, open_store
from hfi_core.io.hashing import sha256_of, sha256_of_file
from hfi_core.io.yaml_files import read_yaml
from hfi_core.params import Params
from hfi_core.pipeline.layout import LABELS, MODELS, RELEASE
from hfi_core.pipeline.release import release_digest

_LEAST = 8
"""Hex digits of a digest that are enough to name it."""


@dataclass(frozen=True)
class FeedbackReference:
    """What a digest names, and the snapshot that it leads to."""

    named: str
    sha256: str


@dataclass(frozen=True)
class FeedbackContent:
    """A snapshot's lines, and where they are from."""

    where: str
    lines: Iterator[str]
    lost: int = 0
    """Judgements that were in it and have been forgotten since."""


def feedback_reference(params: Params, digest: str) -> FeedbackReference:
    """The snapshot that a digest, or its beginning, is or leads to.

    Raises UserError if nothing has that digest, or several things have.
    """
    wanted = digest.removeprefix("sha256:").lower()
    if len(wanted) < _LEAST or set(wanted) - set("0123456789abcdef"):
        raise UserError(f"{digest!r} is no digest: give at least {_LEAST} hex digits of one.")
    found = {lead.sha256: lead for name, lead in _here(params) if name.startswith(wanted)}
    if not found:
        found = {lead.sha256: lead for name, lead in _registered(params) if name.startswith(wanted)}
    if not found:
        raise UserError(
            f"Nothing here has the digest {digest}: neither a snapshot, nor a release or a row's model, nor a "
            "registered version."
        )
    if len(found) > 1:
        raise UserError(f"{digest} may be {' or '.join(sorted(found))}: give more digits.")
    return next(iter(found.values()))


def _here(params: Params) -> Iterator[tuple[str, FeedbackReference]]:
    for sha256 in _snapshots(params):
        yield sha256, FeedbackReference("snapshot", sha256)
    behind = feedback_behind_labels(params)
    made = [(RELEASE, release_digest)] if RELEASE.exists() else []
    made += [(MODELS / row, sha256_of) for row in params.removals if (MODELS / row).is_dir()]
    for path, digest_of in made if behind else ():
        for sha256 in behind:
            yield digest_of(path), FeedbackReference(f"{path}", sha256)


def _registered(params: Params) -> Iterator[tuple[str, FeedbackReference]]:
    for version in versions(params):
        if version.release and version.feedback:
            yield version.release, FeedbackReference(f"{version}", version.feedback)


def feedback_behind_labels(params: Params) -> list[str]:
    """Digests of the feedback that the labels here were made of."""
    summaries = [LABELS / concept / "summary.json" for concept in params.concepts]
    return sorted({json.loads(path.read_text("utf-8"))["feedback_sha256"] for path in summaries if path.exists()})


def find_feedback(params: Params, sha256: str) -> FeedbackContent | None:
    """A snapshot's lines; None where they are nowhere on this machine."""
    for where, path in _files(params):
        if path.is_file() and sha256_of_file(path) == sha256:
            return FeedbackContent(where, _lines(path))
    return _from_store(params, sha256)


def _snapshots(params: Params) -> Iterator[str]:
    for _, path in _files(params):
        if path.is_file():
            yield sha256_of_file(path)
    if is_there(params.feedback.database_url):
        with open_store(params.feedback.database_url) as store:
            yield from (saved.sha256 for saved in store.snapshots())


def _from_store(params: Params, sha256: str) -> FeedbackContent | None:
    if not is_there(params.feedback.database_url):
        return None
    with open_store(params.feedback.database_url) as store:
        for saved in store.snapshots():
            if saved.sha256 == sha256:
                lost = saved.judgements - sum(1 for _ in store.lines_of(saved.number))
                return FeedbackContent("the store", _store_lines(params, saved.number), lost)
    return None


def _store_lines(params: Params, number: int) -> Iterator[str]:
    with open_store(params.feedback.database_url) as store:
        yield from store.lines_of(number)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as stream:
        yield from (line.rstrip("\n") for line in stream)


def _files(params: Params) -> Iterator[tuple[str, Path]]:
    """The feedback file, and what DVC's cache still has of its earlier contents."""
    path = Path(params.feedback.file)
    yield str(path), path
    marker = dvc_file_of(path)
    digests = {}
    if marker.exists():
        digests[_md5(read_yaml(marker))] = "DVC's cache"
    for commit in (try_git("log", "--format=%h", "--", str(marker)) or "").split():
        shown = try_git("show", f"{commit}:./{marker.as_posix()}") or ""
        digests.setdefault(_md5_in(shown), f"DVC's cache, of commit {commit}")
    digests.pop(None, None)
    if digests:
        with open_repository() as repo:
            places = {where: Path(repo.cache.local.oid_to_path(md5)) for md5, where in digests.items()}
        yield from places.items()


def _md5_in(text: str) -> str | None:
    import yaml

    try:
        return _md5(yaml.safe_load(text))
    except yaml.YAMLError:
        return None


def _md5(content: object) -> str | None:
    try:
        return str(content["outs"][0]["md5"])
    except (KeyError, IndexError, TypeError):
        return None
