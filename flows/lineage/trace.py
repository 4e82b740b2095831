"""Trace a registered version: release, removal, tokens, reward, labels, snapshot, judgements.

If its release is in this workspace, the workspace's files are described; else what `dvc.lock` held at its commit.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
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
    description: str = ""


def trace_version(params: Params, version: Version) -> Iterator[TraceStep]:
    """Yield the links from a registered version down to the judgements."""
    tags = version.tags
    aliases = f"alias {', '.join(version.aliases)}; " if version.aliases else ""
    changed = " with changes" if tags.get("hfi.git.dirty") == "true" else ""
    commit = tags.get("hfi.git.revision", "none")
    description = f"{aliases}gates {tags.get('gates', 'unknown')}; commit {commit[:12]}{changed}; digest of its params"
    yield TraceStep("registered", str(version), tags.get("hfi.params", ""), description)
    is_present = RELEASE.exists() and release_digest() == version.release
    description = f"row {tags.get('hfi.row', 'unknown')} of base {tags.get('hfi.base', 'unknown')}"
    yield TraceStep("release", f"{RELEASE}" if is_present else "not in this folder", version.release, description)
    yield from _trace_workspace(params, version) if is_present else _trace_commit(version, commit)
    yield from _trace_feedback(params, version)


def _trace_workspace(params: Params, version: Version) -> Iterator[TraceStep]:
    variant = version.tags.get("hfi.row", params.release.row)
    yield from _describe_folder("removal", MODELS / variant, "removal.json", _describe_removal)
    for kind, top, file, describe in (
        ("token", "tokens", "check.json", _describe_token),
        ("reward", "reward", "report.json", _describe_reward),
        ("labels", "labels", "summary.json", lambda content: _describe_labels(content, version)),
    ):
        for concept in params.concepts:
            yield from _describe_folder(kind, Path(top) / concept, file, describe)


def _describe_folder(
    kind: str, path: Path, file: str, describe: Callable[[dict[str, Any]], str]
) -> Iterator[TraceStep]:
    if not path.exists():
        yield TraceStep(kind, str(path), "", "does not exist any more")
        return
    content = json.loads((path / file).read_text("utf-8")) if (path / file).exists() else {}
    yield TraceStep(kind, str(path), sha256_of(path), describe(content))


def _describe_removal(content: dict[str, Any]) -> str:
    return content.get("method") or ""


def _describe_token(content: dict[str, Any]) -> str:
    pictures = content.get("pictures", {}).get("objectionable")
    return f"{pictures['share_objectionable']:.0%} of its pictures objectionable" if pictures else ""


def _describe_reward(content: dict[str, Any]) -> str:
    auc = content.get("metrics", {}).get("auc")
    return f"AUC {auc['value']:.3f} on {auc['n']} held-out pictures" if auc else ""


def _describe_labels(content: dict[str, Any], version: Version) -> str:
    if not content:
        return ""
    description = f"{content['pictures']} pictures, by {content['aggregation']}"
    if content["feedback_sha256"] != version.feedback:
        description += f"; made since then from another snapshot, {content['feedback_sha256']}"
    return description


def _trace_commit(version: Version, commit: str) -> Iterator[TraceStep]:
    """Yield what `dvc.lock` held when the version was registered, if it was committed."""
    stages = _read_lock(commit)
    if not stages:
        description = f"commit {commit[:12]} has no dvc.lock in this folder"
        yield TraceStep("between", "removal, tokens, reward, labels", "", description)
        return
    variant = version.tags.get("hfi.row", "")
    for kind, stage in _STAGES:
        for address in sorted(stages):
            name, _, unit = address.partition("@")
            if name == stage and (stage != "distill" or unit == variant):
                for out in stages[address].get("outs", []):
                    description = f"MD5 in dvc.lock of commit {commit[:12]}; `dvc checkout` there restores it"
                    yield TraceStep(kind, out.get("path", ""), out.get("md5", ""), description)


def _read_lock(commit: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(try_git("show", f"{commit}:./dvc.lock") or "")
    except yaml.YAMLError:
        return {}
    return content.get("stages", {}) if isinstance(content, dict) else {}


def _trace_feedback(params: Params, version: Version) -> Iterator[TraceStep]:
    simulated = "; simulated" if version.tags.get("hfi.feedback.simulated") == "true" else ""
    if not version.feedback:
        yield TraceStep("snapshot", "unknown", "", "the version names none")
        return
    content = find_feedback(params, version.feedback)
    if content is None:
        yield TraceStep("snapshot", "not on this machine", version.feedback, "`dvc fetch --all-commits` may restore it")
        return
    yield TraceStep("snapshot", content.source, version.feedback, f"as the version says{simulated}")
    judgements, superseded = Counter[str](), 0
    for line in content.lines:
        judgement = parse_judgement(line)
        judgements[judgement.annotator] += 1
        superseded += judgement.supersedes is not None
    people = listed([f"{annotator} {count}" for annotator, count in sorted(judgements.items())])
    forgotten = f"; {content.forgotten} forgotten since" if content.forgotten else ""
    description = f"{superseded} of them corrections; by {people}{forgotten}" if judgements else f"none{forgotten}"
    yield TraceStep("judgements", f"{judgements.total()} judgements", "", description)
