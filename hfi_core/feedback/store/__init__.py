"""The live store: where judgements arrive, each kept before it is acknowledged, in SQLite or PostgreSQL.

Nothing in it is ever changed: a correction is a new judgement that supersedes the earlier one. What DVC versions is a
snapshot of it.
"""

from hfi_core.feedback.store.assignment import Assignment, JudgingProgress
from hfi_core.feedback.store.batches import ImportedBatch
from hfi_core.feedback.store.errors import is_there
from hfi_core.feedback.store.health import StoreHealth, condition_of
from hfi_core.feedback.store.insert import Conflict
from hfi_core.feedback.store.snapshots import Saved, Snapshot
from hfi_core.feedback.store.store import Store, open_store

__all__ = [
    "Assignment",
    "StoreHealth",
    "Conflict",
    "ImportedBatch",
    "JudgingProgress",
    "Saved",
    "Snapshot",
    "Store",
    "condition_of",
    "is_there",
    "open_store",
]
