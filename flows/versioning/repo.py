"""Call DVC in this process: find out-of-date stages, commit outputs, push data. No stage runs under DVC's lock."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from flows.runtime.console import warn
from flows.runtime.lock import project_lock_released
from flows.versioning import pointer_recovery
from hfi_core.errors import UserError, causes, listed
from hfi_core.io.atomic import is_disk_full
from hfi_core.pipeline.layout import DVC_LOCK

MAX_WAIT_SECONDS = 600.0
"""How long a run waits for another DVC process. A `dvc repro` may compute a stage for longer, but its stage holds the
project's lock, for which a run waits without a limit."""
_RETRY_SECONDS = 0.5

Result = TypeVar("Result")


class DvcBusyError(UserError):
    """Another DVC process uses the repository or the paths of a stage: a later attempt may succeed."""


_checked: dict[Path, tuple[int, ...]] = {}
"""By project, time and size of the `dvc.lock` that was last found whole in this process."""


def find_changes(*addresses: str) -> dict[str, str]:
    """Return, by address, why each out-of-date stage is out of date; by default of all stages.

    Raises UserError if DVC has no stage of an address.
    """
    status = _read_status(set(addresses).__contains__ if addresses else lambda _: True)
    if unknown := set(addresses) - status.keys():
        raise UserError(f"DVC has no stage {listed(sorted(unknown), 3)}. To fix this: run `hfi params sync`.")
    return {address: _reason(entries) for address, entries in status.items() if entries}


def _read_status(is_wanted: Callable[[str], bool]) -> dict[str, list[Any]]:
    """Return what DVC says of each stage whose address is wanted; an empty list for one that is up to date."""
    from dvc.repo import lock_repo

    with open_repository() as repo, lock_repo(repo):
        # `repo.status(targets=...)` would read the whole of `dvc.yaml` and `dvc.lock` once for each target.
        stages = {stage.addressing: stage for stage in repo.index.stages if is_wanted(stage.addressing)}
        return {address: stage.status(check_updates=True).get(address, []) for address, stage in stages.items()}


def commit_outputs(address: str, before_retry: Callable[[], None] | None = None) -> None:
    """Put a stage's outputs into DVC's cache and write its entry in `dvc.lock`, as `dvc repro` does.

    While another DVC process is at work, it waits. `before_retry` checks after a wait that nothing has changed.

    Raises UserError if the disk is full or the cache cannot be written to; the stage then stays out of date. Raises
    DvcBusyError if the other process does not end in time.
    """
    when_dvc_is_free(partial(_commit_outputs, address), before_retry)


def when_dvc_is_free(action: Callable[[], Result], before_retry: Callable[[], None] | None = None) -> Result:
    """Return the result of an action that needs DVC's lock; while another DVC process is at work, wait.

    The project's lock is released while it waits, because a stage of the other process may need it.

    Raises DvcBusyError if the other process does not end in `MAX_WAIT_SECONDS`.
    """
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    is_first = True
    while True:
        try:
            return action()
        except DvcBusyError as error:
            if time.monotonic() > deadline:
                raise
            if is_first:
                blockers = [line.strip() for line in str(error).splitlines() if "(PID " in line]
                warn(
                    f"Another DVC process is running in this project{': ' if blockers else ''}{', '.join(blockers)}; "
                    f"waiting until it ends, for at most {MAX_WAIT_SECONDS / 60:.0f} minutes (Ctrl-C stops waiting; "
                    "what was computed is kept)."
                )
        is_first = False
        with project_lock_released():
            time.sleep(_RETRY_SECONDS)
        if before_retry:
            before_retry()


def _commit_outputs(address: str) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import lock_repo

    pointer = Path(address) if address.endswith(".dvc") else DVC_LOCK
    with (
        open_repository() as repo,
        lock_repo(repo),
        _collect_transfer_errors() as errors,
        pointer_recovery.protected_write(pointer),
    ):
        repo.commit(address, force=True)
        if errors:
            raise DvcException(f"it cannot keep the outputs of {address} in its cache") from errors[0]


def track_file(path: Path) -> None:
    """Put a file into DVC's cache, and write its `.dvc` file, as `dvc add` does."""
    from dvc.repo import lock_repo

    with (
        open_repository() as repo,
        lock_repo(repo),
        pointer_recovery.protected_write(path.with_name(f"{path.name}.dvc")),
    ):
        repo.add([str(path)])


def read_remotes() -> dict[str, tuple[str, str | None]]:
    """Return address and S3 server (if it is named) of each DVC remote, by name; none outside a DVC project."""
    try:
        with open_repository() as repo:
            remotes = repo.config["remote"].items()
            return {name: (str(settings["url"]), settings.get("endpointurl")) for name, settings in remotes}
    except UserError:
        return {}


def push_data(remote: str) -> set[str]:
    """Push the workspace's data to a DVC remote; return what the remote still lacks.

    Raises UserError if there is no such remote, or it cannot be reached.
    """
    with open_repository() as repo:
        try:
            repo.push(remote=remote)
            state = repo.status(cloud=True, remote=remote)  # DVC only warns of what the cache lacks
            store = repo.cloud.get_remote_odb(remote)
            # Without its list, the files of a folder are not in the state.
            folders = [out for out in repo.index.outs if out.can_push and out.hash_info and out.hash_info.isdir]
            lists = {str(out) for out in folders if not store.exists(out.hash_info.value)}
        except Exception as error:  # each kind of remote has its own library's errors
            raise UserError(f"The data could not be sent to the DVC remote {remote!r}: {_describe(error)}") from error
    return lists | {name for name, kind in state.items() if kind in ("new", "missing")}


def commit_external_inputs() -> None:
    """Commit changes in files that `dvc add` tracks, such as more feedback, as `dvc repro` does."""
    for address, entries in _read_status(lambda address: address.endswith(".dvc")).items():
        if entries:
            commit_outputs(address)


@contextmanager
def open_repository() -> Iterator[Any]:
    """Yield the project's DVC repository as it is now; DVC's errors become UserErrors."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import NotDvcRepoError, Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # its bars and notes would break up ours
    try:
        with Repo() as repo:
            _recover_files(repo)
            yield repo
    except NotDvcRepoError as error:
        raise UserError(
            "This folder is not a DVC project. To fix this: run `git init` and `dvc init` in it."
        ) from error
    except LockError as error:
        raise DvcBusyError(
            "Another DVC process is running in this project. Run this command again when it has ended.\n"
            f"{_describe(error)}"
        ) from error
    except Exception as error:
        if is_disk_full(error):
            named = (getattr(cause, key, None) for cause in causes(error) for key in ("filename2", "filename"))
            path = next(filter(None, named), "DVC's cache")
            raise UserError(
                f"The disk is full: DVC has no room for {path}. To fix this: free space (`hfi gc` lists data that "
                "nothing needs), then run the same command again. Stages whose outputs were not stored "
                "continue from their checkpoints."
            ) from error
        if isinstance(error, DvcException):
            raise UserError(f"DVC failed: {_describe(error)}") from error
        raise


def _recover_files(repo: Any) -> None:
    """Restore what a killed DVC process left cut off. The first call in a process checks every pointer file."""
    from dvc.lock import make_lock
    from dvc.repo import lock_repo

    folder = Path(repo.tmp_dir)
    if pointer_recovery.is_rwlock_damaged(folder):
        hardlinks = repo.config["core"].get("hardlink_lock", False)
        with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder), hardlink_lock=hardlinks):
            pointer_recovery.recover_rwlock(folder)
    project, paths = Path.cwd(), pointer_recovery.marked_paths()
    if project not in _checked:
        paths = pointer_recovery.pointer_paths()
    elif _checked[project] != pointer_recovery.version_of(DVC_LOCK):
        paths.append(DVC_LOCK)
    if paths:
        with lock_repo(repo):  # else a write that goes on now would look cut off
            pointer_recovery.recover_pointers(paths)
    _checked[project] = pointer_recovery.version_of(DVC_LOCK)


@contextmanager
def _collect_transfer_errors() -> Iterator[list[BaseException]]:
    """Yield a list of the errors for files that do not get into DVC's cache: DVC only logs them, and goes on."""
    errors: list[BaseException] = []

    def collect(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            errors.append(record.exc_info[1])
        return False

    logger = logging.getLogger("dvc_data.hashfile.transfer")
    logger.addFilter(collect)
    try:
        yield errors
    finally:
        logger.removeFilter(collect)


def _describe(error: BaseException) -> str:
    """Return the messages of an error and of its causes, each once."""
    return ": ".join(dict.fromkeys(str(cause) for cause in causes(error) if str(cause)))


def _reason(entries: Iterable[Any]) -> str:
    parts = []
    for entry in entries:
        if isinstance(entry, str):
            parts.append("another command" if entry == "changed command" else entry)
            continue
        for paths in entry.values():
            for path, change in paths.items():  # in params.yaml {key: change}, else a change of an input or output
                nested = change if isinstance(change, Mapping) else {path: change}
                parts += [f"{name} {kind}" for name, kind in nested.items()]
    return listed(parts, 3)
