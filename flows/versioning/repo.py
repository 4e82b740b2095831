"""DVC in this process: what is out of date, and keeping what a stage made. No DVC lock is held while a stage runs."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hfi_core.errors import UserError, causes, listed
from hfi_core.io.atomic import FULL


def find_changes(*addresses: str) -> dict[str, str]:
    """Why each of the stages (all, if none is named) that is out of date is so, by address."""
    with open_repository() as repo:
        status = repo.status(targets=list(addresses) or None)
    return {address: _reason(entries) for address, entries in status.items()}


def commit_outputs(address: str) -> None:
    """Keep the outputs of a stage in DVC's cache and write its entry in `dvc.lock`, as `dvc repro` would.

    Raises UserError if the disk is full, or the cache cannot be written to: the stage stays out of date.
    """
    from dvc.exceptions import DvcException

    with open_repository() as repo, _collect_transfer_errors() as errors:
        repo.commit(address, force=True)
        if errors:
            raise DvcException(f"it cannot keep the outputs of {address} in its cache") from errors[0]


def push_data(remote: str) -> set[str]:
    """Send what the workspace's files name to a DVC remote; what is not there afterwards.

    Raises UserError if there is no such remote, or it is out of reach.
    """
    with open_repository() as repo:
        try:
            repo.push(remote=remote)
            left = repo.status(cloud=True, remote=remote)  # DVC only warns of what the cache lacks
        except Exception as error:  # each kind of remote has its own library's errors
            raise UserError(f"The data could not be sent to the DVC remote {remote!r}: {_describe(error)}") from error
    return {name for name, state in left.items() if state in ("new", "missing")}


def commit_external_inputs() -> None:
    """Take up what people changed in files that `dvc add` tracks (more feedback, say), as `dvc repro` does."""
    for address in find_changes():
        if address.endswith(".dvc"):
            commit_outputs(address)


@contextmanager
def open_repository() -> Iterator[Any]:
    """The project's DVC repository as it is now; its errors are told as a user's."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import NotDvcRepoError, Repo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # its bars and notes would tear ours
    try:
        with Repo() as repo:
            yield repo
    except NotDvcRepoError as error:
        raise UserError("This folder is no DVC project: run `git init` and `dvc init` in it.") from error
    except LockError as error:
        raise UserError(
            f"Another DVC process is at work in this project; run this again when it is done.\n{_describe(error)}"
        ) from error
    except Exception as error:
        if full := next((cause for cause in causes(error) if getattr(cause, "errno", None) in FULL), None):
            place = getattr(full, "filename2", None) or getattr(full, "filename", None) or "DVC's cache"
            raise UserError(
                f"The disk is full: DVC finds no room for {place}. What is not kept runs again; make room first "
                "(`hfi gc` shows what nothing needs any more), then run the same command again."
            ) from error
        if isinstance(error, DvcException):
            raise UserError(f"DVC refuses: {_describe(error)}") from error
        raise


@contextmanager
def _collect_transfer_errors() -> Iterator[list[BaseException]]:
    """Why files did not get into DVC's cache meanwhile: DVC logs that, one line each, and goes on as if they were."""
    errors: list[BaseException] = []

    def take(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            errors.append(record.exc_info[1])
        return False

    logger = logging.getLogger("dvc_data.hashfile.transfer")
    logger.addFilter(take)
    try:
        yield errors
    finally:
        logger.removeFilter(take)


def _describe(error: BaseException) -> str:
    """The error's message and those of its causes, each once."""
    return ": ".join(dict.fromkeys(str(cause) for cause in causes(error) if str(cause)))


def _reason(entries: Iterable[Any]) -> str:
    parts = []
    for entry in entries:
        if isinstance(entry, str):
            parts.append("another command" if entry == "changed command" else entry)
            continue
        for paths in entry.values():
            for path, what in paths.items():  # of params.yaml: {key: what}; of an input or output: what
                nested = what if isinstance(what, Mapping) else {path: what}
                parts += [f"{name} {kind}" for name, kind in nested.items()]
    return listed(parts, 3)
