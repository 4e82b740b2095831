"""Judges by the word that `evaluate.judge.kind` names; other packages add theirs by the entry points `hfi.judges`.

Holds import strings, so that asking which judges there are costs no torch; params ask when they are parsed.
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
    """Import strings by kind, our own first: nobody can take the place of one of them."""
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)} | JUDGES
