"""The snapshot of the live store: taken before anything asks what is out of date, and kept by DVC.

A clone has no store: the snapshot that `dvc pull` brought is used as it is there.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from flows.runtime.console import warn
from flows.versioning.inputs import dvc_file_of
from flows.versioning.repo import commit_outputs, open_repository
from hfi_core.errors import UserError
from hfi_core.feedback.reader import read_judgements
from hfi_core.feedback.store import Snapshot, Store, open_store, store_exists
from hfi_core.io.hashing import sha256_of_file
from hfi_core.params import Params, load_params
from hfi_core.pipeline.graph import Unit
from hfi_core.pipeline.layout import PARAMS


def take_snapshot(params: Params) -> Snapshot | None:
    """Bring `feedback.file` up to date with the store, under the project's lock; None where there is no store.

    Raises UserError if the store is out of reach, or the file holds judgements that the store has never held.
    """
    path, url = Path(params.feedback.file), params.feedback.database_url
    tracked = dvc_file_of(path).exists()
    if not store_exists(url) and (tracked or path.exists()):
        warn(f"There is no store at {url} here, so {path} is used as it is.")
        return None
    with open_store(url) as store:
        _require_held(store, path)
        taken = store.snapshot(path)
    if not tracked:
        with open_repository() as repo:
            repo.add([str(path)])
    elif taken.written:
        commit_outputs(str(dvc_file_of(path)))
    return taken


def warn_if_outdated(params: Params, unit: Unit) -> None:
    """Tell whoever came by `dvc repro` that the store knows more than the snapshot that a unit reads; never fails."""
    path, url = Path(params.feedback.file), params.feedback.database_url
    try:
        if path not in unit.inputs.values() or not store_exists(url):
            return
        with open_store(url) as store:
            fresh = store.unsaved()
    except UserError:
        return
    if fresh:
        warn(
            f"The store has {fresh} judgement(s) that {path} does not hold; `hfi feedback snapshot` before "
            "`dvc repro` brings them in (`hfi run` does it by itself)."
        )


def _require_held(store: Store, path: Path) -> None:
    """Refuse to replace a file whose judgements the store does not have: a colleague's, or the simulated crowd's."""
    if not path.exists() or sha256_of_file(path) in {saved.sha256 for saved in store.snapshots()}:
        return
    strangers = list(islice(store.missing(_ids(path)), 3))
    if strangers:
        raise UserError(
            f"{path} holds judgements that the store does not ({', '.join(strangers)} ...), so it is not replaced by "
            f"a snapshot.\n  To mend it: `hfi feedback import {path}` brings them into the store; or move the file "
            "away, or name another one in feedback.file of params.yaml."
        )


def _ids(path: Path) -> Iterator[str]:
    return (judgement.id for _, judgement in read_judgements(path))


def renew_snapshot() -> None:
    """Take the snapshot of the live store, where judgements come from it; under the lock, for stages read it."""
    params = load_params(PARAMS)
    if params.feedback.store:
        take_snapshot(params)
