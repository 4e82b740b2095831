"""The whole chain behind a registered version: release, removal, tokens, reward, labels, snapshot, judgements.

Where its release lies here, the files here are told; for another, what `dvc.lock` said at its commit.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.lineage.feedback_source import find_feedback
from flows.releases.versions import Version
from flows.versioning.git import try_git
from hfi_core.errors import listed
from hfi_core.feedback.schema import parse_judgement
from hfi_core.io.hashing import sha256_of
from hfi_core.params import Params
from hfi_core.pipeline.layout import MODELS, RELEASE
from hfi_core.pipeline.release import release_digest

_STAGES = (("removal", "distill"), ("token", "invert"), ("reward", "reward"), ("labels", "ingest"))


@dataclass(frozen=True)
class TraceStep:
    """One link: what it is, its digest, and what is known about it."""

    kind: str
    name: str
    digest: str
    told: str = ""


def trace_version(params: Params, version: Version) -> Iterator[TraceStep]:
    """The links from a registered version down to the judgements."""
    tags = version.tags
    aliases = f"alias {', '.join(version.aliases)}; " if version.aliases else ""
    changed = " with changes" if tags.get("hfi.git.dirty") == "true" else ""
    commit = tags.get("hfi.git.revision", "none")
    told = f"{aliases}gates {tags.get('gates', 'unknown')}; commit {commit[:12]}{changed}"
    yield TraceStep("registered", str(version), tags.get("hfi.params", ""), f"{told}; digest of its params")
    here = RELEASE.exists() and release_digest() == version.release
    told = f"row {tags.get('hfi.row', 'unknown')} of base {tags.get('hfi.base', 'unknown')}"
    yield TraceStep("release", f"{RELEASE}" if here else "not in this folder", version.release, told)
    yield from _here(params, version) if here else _at_commit(version, commit)
    yield from _feedback(params, version)


def _here(params: Params, version: Version) -> Iterator[TraceStep]:
    row = version.tags.get("hfi.row", params.release.row)
    yield from _folder("removal", MODELS / row, "removal.json", _removal)
    for kind, top, file, tell in (
        ("token", "tokens", "check.json", _token),
        ("reward", "reward", "report.json", _reward),
        ("labels", "labels", "summary.json", lambda content: _labels(content, version)),
    ):
        for concept in params.concepts:
            yield from _folder(kind, Path(top) / concept, file, tell)


def _folder(kind: str, path: Path, file: str, tell) -> Iterator[TraceStep]:
    if not path.exists():
        yield TraceStep(kind, str(path), "", "is not here any more")
        return
    content = json.loads((path / file).read_text("utf-8")) if (path / file).exists() else {}
    yield TraceStep(kind, str(path), sha256_of(path), tell(content))


def _removal(content: dict[str, Any]) -> str:
    return content.get("method") or ""


def _token(content: dict[str, Any]) -> str:
    pictures = content.get("pictures", {}).get("objectionable")
    return f"{pictures['share_objectionable']:.0%} of its pictures objectionable" if pictures else ""


def _reward(content: dict[str, Any]) -> str:
    auc = content.get("metrics", {}).get("auc")
    return f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]" if auc else ""


def _labels(content: dict[str, Any], version: Version) -> str:
    if not content:
        return ""
    told = f"{content['pictures']} pictures, by {content['aggregation']}"
    if content["feedback_sha256"] != version.feedback:
        told += f"; made since then from another snapshot, {content['feedback_sha256']}"
    return told


def _at_commit(version: Version, commit: str) -> Iterator[TraceStep]:
    """What `dvc.lock` had when the version was registered, if it was committed."""
    stages = _lock(commit)
    if not stages:
        yield TraceStep(
            "between", "removal, tokens, reward, labels", "", f"commit {commit[:12]} holds no dvc.lock here"
        )
        return
    row = version.tags.get("hfi.row", "")
    for kind, stage in _STAGES:
        for address in sorted(stages):
            name, _, unit = address.partition("@")
            if name == stage and (stage != "distill" or unit == row):
                for out in stages[address].get("outs", []):
                    told = f"MD5 in dvc.lock of commit {commit[:12]}; `dvc checkout` there brings it"
                    yield TraceStep(kind, out.get("path", ""), out.get("md5", ""), told)


def _lock(commit: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(try_git("show", f"{commit}:./dvc.lock") or "")
    except yaml.YAMLError:
        return {}
    return content.get("stages", {}) if isinstance(content, dict) else {}


def _feedback(params: Params, version: Version) -> Iterator[TraceStep]:
    simulated = "; simulated" if version.tags.get("hfi.feedback.simulated") == "true" else ""
    if not version.feedback:
        yield TraceStep("snapshot", "unknown", "", "the version names none")
        return
    content = find_feedback(params, version.feedback)
    if content is None:
        yield TraceStep("snapshot", "not on this machine", version.feedback, "`dvc fetch --all-commits` may bring it")
        return
    yield TraceStep("snapshot", content.where, version.feedback, f"as the version says{simulated}")
    judgements, superseded = Counter[str](), 0
    for line in content.lines:
        judgement = parse_judgement(line)
        judgements[judgement.annotator] += 1
        superseded += judgement.supersedes is not None
    people = listed([f"{annotator} {count}" for annotator, count in sorted(judgements.items())])
    lost = f"; {content.lost} forgotten since" if content.lost else ""
    told = f"{superseded} of them corrections; by {people}{lost}" if judgements else f"none{lost}"
    yield TraceStep("judgements", f"{judgements.total()} judgements", "", told)
