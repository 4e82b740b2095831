"""Take the snapshot of the live store, which DVC versions. It has to be taken before units are checked for changes.

A clone has no store; it uses the snapshot that `dvc pull` brought.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from flows.runtime.console import warn
from flows.versioning.inputs import dvc_file_of
from flows.versioning.repo import commit_outputs, track_file
from hfi_core.errors import UserError
from hfi_core.feedback.reader import read_judgements
from hfi_core.feedback.store import Snapshot, Store, open_store, store_exists
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Feedback, load_params
from hfi_core.pipeline.graph import Unit
from hfi_core.pipeline.layout import PARAMS


def take_snapshot(feedback: Feedback) -> Snapshot | None:
    """Update `feedback.file` from the store, under the project's lock. Return None if there is no store.

    Raises UserError if the store is out of reach, or the file holds judgements that the store does not.
    """
    path, url = Path(feedback.file), feedback.database_url
    tracked = dvc_file_of(path).exists()
    if not store_exists(url) and (tracked or path.exists()):
        warn(f"There is no store at {url} here, so {path} is used as it is.")
        return None
    with open_store(url) as store:
        _require_in_store(store, path)
        snapshot = store.take_snapshot(path)
    if not tracked:
        track_file(path)
    elif snapshot.written:
        commit_outputs(str(dvc_file_of(path)))
    return snapshot


def warn_if_outdated(feedback: Feedback, unit: Unit) -> None:
    """Warn, for `dvc repro`, if a unit reads a snapshot that lacks judgements of the store. Never fails."""
    path, url = Path(feedback.file), feedback.database_url
    try:
        if path not in unit.inputs.values() or not store_exists(url):
            return
        with open_store(url) as store:
            unsaved = store.count_unsaved()
    except UserError:
        return
    if unsaved:
        warn(
            f"The store has {unsaved} judgement(s) that {path} does not hold; `hfi feedback snapshot` before "
            "`dvc repro` brings them in (`hfi run` does it by itself)."
        )


def _require_in_store(store: Store, path: Path) -> None:
    """Raise UserError if the file holds judgements that the store does not: a colleague's, or the simulated crowd's."""
    if not path.exists() or sha256_of_file(path) in {saved.sha256 for saved in store.list_snapshots()}:
        return
    unknown_ids = list(islice(store.find_missing(_ids(path)), 3))
    if unknown_ids:
        raise UserError(
            f"{path} holds judgements that the store does not ({', '.join(unknown_ids)} ...), so it is not replaced by "
            f"a snapshot.\n  To fix this: `hfi feedback import {path}` brings them into the store; or move the file "
            "away, or name another one in feedback.file of params.yaml."
        )


def _ids(path: Path) -> Iterator[str]:
    return (judgement.id for _, judgement in read_judgements(path))


def renew_snapshot() -> None:
    """Take the snapshot if `feedback.store` is true; under the project's lock, because stages read the file."""
    feedback = load_params(PARAMS).feedback
    if feedback.store:
        take_snapshot(feedback)
