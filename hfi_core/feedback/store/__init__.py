"""The live store of judgements, in SQLite or PostgreSQL. A judgement is durable before it is acknowledged.

Stored judgements never change: a correction is a new judgement that supersedes the earlier one. DVC versions snapshots
of the store.
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
