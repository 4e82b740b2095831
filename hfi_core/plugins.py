"""Find what params may name of other packages: judges, methods of `removals`, and kinds of `attacks`.

Other packages add theirs by the entry points `hfi.judges`, `hfi.removals` and `hfi.attacks`. A judge is an import
string here. So params can check the name without importing torch.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

JUDGE_GROUP = "hfi.judges"
REMOVAL_GROUP = "hfi.removals"
ATTACK_GROUP = "hfi.attacks"
JUDGES: dict[str, str] = {
    "embedded": "hfi_core.embedded.judge:EmbeddedJudge",
    "clip": "hfi_core.judges.clip:ClipJudge",
    "classifier": "hfi_core.judges.classifier:ClassifierJudge",
    "nudenet": "hfi_core.judges.nudenet:NudeNetJudge",
    "probe": "hfi_core.judges.probe:ProbeJudge",
}


def find_judges() -> dict[str, str]:
    """Return the import string of each judge by its name. An entry point cannot replace one of `JUDGES`."""
    return {point.name: point.value for point in entry_points(group=JUDGE_GROUP)} | JUDGES


def find_removals() -> dict[str, EntryPoint]:
    """Return the removal methods of other packages by name. Each is a `hfi_core.params.RegisteredRemoval`."""
    return {point.name: point for point in entry_points(group=REMOVAL_GROUP)}


def find_attacks() -> dict[str, EntryPoint]:
    """Return the attacks of other packages by name. Each is a `hfi_core.params.RegisteredAttack`."""
    return {point.name: point for point in entry_points(group=ATTACK_GROUP)}
