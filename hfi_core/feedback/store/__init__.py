"""The live store: where judgements arrive, each kept before it is acknowledged, in SQLite or PostgreSQL.

Nothing in it is ever changed: a correction is a new judgement that supersedes the earlier one. What DVC versions is a
snapshot of it.
"""

from hfi_core.feedback.store.assignment import Assignment, JudgingProgress
from hfi_core.feedback.store.batches import ImportedBatch
from hfi_core.feedback.store.errors import store_exists
from hfi_core.feedback.store.health import StoreHealth, inspect_store
from hfi_core.feedback.store.insert import Conflict
from hfi_core.feedback.store.snapshots import SavedSnapshot, Snapshot
from hfi_core.feedback.store.store import Store, open_store

__all__ = [
    "Assignment",
    "StoreHealth",
    "Conflict",
    "ImportedBatch",
    "JudgingProgress",
    "SavedSnapshot",
    "Snapshot",
    "Store",
    "inspect_store",
    "store_exists",
    "open_store",
]
