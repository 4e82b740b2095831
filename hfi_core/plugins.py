"""Find the judges that `evaluate.judge.kind` may name. Other packages add theirs by the entry points `hfi.judges`.

A judge is an import string here. So params can check the name without importing torch.
"""

from __future__ import annotations

from importlib.metadata import entry_points

ENTRY_POINT_GROUP = "hfi.judges"
JUDGES: dict[str, str] = {
    "embedded": "hfi_core.embedded.judge:EmbeddedJudge",
    "clip": "hfi_core.judges.clip:ClipJudge",
    "classifier": "hfi_core.judges.classifier:ClassifierJudge",
}


def find_judges() -> dict[str, str]:
    """Return the import string of each judge by its name. An entry point cannot replace one of `JUDGES`."""
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)} | JUDGES
