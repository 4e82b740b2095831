"""The one way in: a file of any known format becomes judgements in the store, all of them or none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from hfi_core.errors import UserError, listed
from hfi_core.feedback.formats.convert import ImportContext, convert_row
from hfi_core.feedback.formats.detect import detect_format
from hfi_core.feedback.formats.registry import FORMATS
from hfi_core.feedback.formats.row import ReadOptions, RejectedRow, Row, SkippedRow
from hfi_core.feedback.formats.staging import ImportCounts, Staging
from hfi_core.feedback.store import Store
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.progress import Progress, no_progress

MAX_LISTED = 20
"""Rejected rows that a message names; the others are counted."""

_EVERY = 500
"""Rows between two reports of progress."""


@dataclass(frozen=True)
class PreparedImport:
    """A file that was read, before anything of it counts."""

    path: Path
    format: str
    key: str
    """Digest of the file and of how it was read: the same import again changes nothing."""
    staging: Staging
    counts: ImportCounts

    def require_whole(self) -> None:
        """Raise UserError that names the rejected rows, if there are any."""
        if not self.counts.rejected:
            return
        lines = [f"{row.where}: {row.reason}" for row in islice(self.staging.rejected(), MAX_LISTED)]
        rows = "1 row is" if self.counts.rejected == 1 else f"{self.counts.rejected} rows are"
        raise UserError(
            f"{self.path}: {rows} rejected, so nothing was imported.\n"
            f"{listed(lines, total=self.counts.rejected, as_lines=True)}\n"
            "  To fix this: correct the rows or take them out, or say with the options how they are to be read. "
            "`--dry-run` shows all rejected rows; docs/reference/import-formats.md shows the formats."
        )


@contextmanager
def prepare_import(
    path: Path,
    project: ImportContext,
    store: Store | None,
    *,
    format: str | None = None,
    reading: ReadOptions | None = None,
    progress: Progress = no_progress,
) -> Iterator[PreparedImport]:
    """Read a file and hold it against the store (None: an empty one); nothing in the store is changed.

    Raises UserError for a file that cannot be read at all, and for options that do not fit it.
    """
    reading = reading or ReadOptions()
    if not path.is_file():
        raise UserError(f"{path} is missing." if not path.exists() else f"{path} is no file.")
    format = format or detect_format(path)
    key = sha256_of_json([sha256_of_file(path), format, reading.plain()])
    with closing(sqlite3.connect("")) as database:
        staging = Staging(database)
        _read(path, format, reading, project, staging, progress)
        if store is not None:
            staging.compare(store.touching(staging.asked()))
        staging.settle()
        yield PreparedImport(path, format, key, staging, staging.counts())


def import_file(
    path: Path,
    project: ImportContext,
    store: Store,
    *,
    format: str | None = None,
    reading: ReadOptions | None = None,
    progress: Progress = no_progress,
) -> tuple[str, ImportCounts]:
    """Bring a file's judgements into the store; the format, and what became of the rows.

    Raises UserError that names the rejected rows, and then nothing was changed.
    """
    with prepare_import(path, project, store, format=format, reading=reading, progress=progress) as found:
        return found.format, commit_import(found, project, store, progress)


def commit_import(
    found: PreparedImport, project: ImportContext, store: Store, progress: Progress = no_progress
) -> ImportCounts:
    """Bring what was read, and held against this store, into it; what became of the rows.

    Raises UserError that names the rejected rows, and then nothing was changed.
    """
    found.require_whole()
    counts = found.counts
    if counts.new:
        progress(0, 0, "storing")
        imported = store.add_batch(found.key, found.staging.judgements(project.names.enter()), source=found.path.name)
        counts = replace(counts, new=imported.new, known=counts.known + counts.new - imported.new)
    return counts


def _read(
    path: Path, format: str, reading: ReadOptions, project: ImportContext, staging: Staging, progress: Progress
) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            for number, row in enumerate(FORMATS[format].read(stream, reading)):
                _take(row, reading, project, staging)
                if number % _EVERY == 0:
                    progress(min(stream.tell(), size), size, "reading")
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def _take(row: Row | RejectedRow | SkippedRow, reading: ReadOptions, project: ImportContext, staging: Staging) -> None:
    if isinstance(row, SkippedRow):
        staging.passed_over += 1
    elif isinstance(row, RejectedRow):
        staging.reject(row)
    else:
        try:
            staging.enter(row.where, *convert_row(row.fields, reading, project))
        except ValueError as error:
            staging.reject(RejectedRow(row.where, str(error)))
        except RecursionError:
            staging.reject(RejectedRow(row.where, "is nested too deeply"))
