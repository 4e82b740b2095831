"""Call DVC in this process: find out-of-date stages, commit outputs, push data. No stage runs under DVC's lock."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hfi_core.errors import UserError, causes, listed
from hfi_core.io.atomic import DISK_FULL_ERRORS


def find_changes(*addresses: str) -> dict[str, str]:
    """Return, by address, why each out-of-date stage is out of date; by default of all stages."""
    with open_repository() as repo:
        status = repo.status(targets=list(addresses) or None)
    return {address: _reason(entries) for address, entries in status.items()}


def commit_outputs(address: str) -> None:
    """Put a stage's outputs into DVC's cache and write its entry in `dvc.lock`, as `dvc repro` does.

    Raises UserError if the disk is full or the cache cannot be written to; the stage then stays out of date.
    """
    from dvc.exceptions import DvcException

    with open_repository() as repo, _collect_transfer_errors() as errors:
        repo.commit(address, force=True)
        if errors:
            raise DvcException(f"it cannot keep the outputs of {address} in its cache") from errors[0]


def push_data(remote: str) -> set[str]:
    """Push the workspace's data to a DVC remote; return what the remote still lacks.

    Raises UserError if there is no such remote, or it cannot be reached.
    """
    with open_repository() as repo:
        try:
            repo.push(remote=remote)
            state = repo.status(cloud=True, remote=remote)  # DVC only warns of what the cache lacks
        except Exception as error:  # each kind of remote has its own library's errors
            raise UserError(f"The data could not be sent to the DVC remote {remote!r}: {_describe(error)}") from error
    return {name for name, kind in state.items() if kind in ("new", "missing")}


def commit_external_inputs() -> None:
    """Commit changes in files that `dvc add` tracks, such as more feedback, as `dvc repro` does."""
    for address in find_changes():
        if address.endswith(".dvc"):
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
            yield repo
    except NotDvcRepoError as error:
        raise UserError(
            "This folder is not a DVC project. To fix this: run `git init` and `dvc init` in it."
        ) from error
    except LockError as error:
        raise UserError(
            "Another DVC process is running in this project. Run this command again when it has ended.\n"
            f"{_describe(error)}"
        ) from error
    except Exception as error:
        if full := next((cause for cause in causes(error) if getattr(cause, "errno", None) in DISK_FULL_ERRORS), None):
            path = getattr(full, "filename2", None) or getattr(full, "filename", None) or "DVC's cache"
            raise UserError(
                f"The disk is full: DVC has no room for {path}. To fix this: free space (`hfi gc` lists data that "
                "nothing needs), then run the same command again. Stages whose outputs were not stored run again."
            ) from error
        if isinstance(error, DvcException):
            raise UserError(f"DVC failed: {_describe(error)}") from error
        raise


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
