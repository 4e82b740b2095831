"""Find the judges that `evaluate.judge.kind` may name, and the methods of other packages that `removals` may name.

Other packages add theirs by the entry points `hfi.judges` and `hfi.removals`. A judge is an import string here. So
params can check the name without importing torch.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

JUDGE_GROUP = "hfi.judges"
REMOVAL_GROUP = "hfi.removals"
JUDGES: dict[str, str] = {
    "embedded": "hfi_core.embedded.judge:EmbeddedJudge",
    "clip": "hfi_core.judges.clip:ClipJudge",
    "classifier": "hfi_core.judges.classifier:ClassifierJudge",
}


def find_judges() -> dict[str, str]:
    """Return the import string of each judge by its name. An entry point cannot replace one of `JUDGES`."""
    return {point.name: point.value for point in entry_points(group=JUDGE_GROUP)} | JUDGES


def find_removals() -> dict[str, EntryPoint]:
    """Return the removal methods of other packages by name. Each is a `hfi_core.params.RegisteredRemoval`."""
    return {point.name: point for point in entry_points(group=REMOVAL_GROUP)}
