"""Import the judgements of a file in any known format into the store: all of them or none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from hfi_core.errors import UserError, listed
from hfi_core.feedback.formats.answers import format_value
from hfi_core.feedback.formats.convert import ImportContext, convert_row, is_empty
from hfi_core.feedback.formats.detect import detect_format
from hfi_core.feedback.formats.option_rules import require_consistent_options
from hfi_core.feedback.formats.registry import FORMATS
from hfi_core.feedback.formats.row import RATING, ReadOptions, RejectedRow, Row, SkippedRow
from hfi_core.feedback.formats.staging import ImportCounts, Staging
from hfi_core.feedback.store import Store
from hfi_core.io.hashing import sha256_of_file, sha256_of_json
from hfi_core.progress import Progress, no_progress

MAX_LISTED = 20
"""Rejected rows that a message lists; it counts the others."""

_PROGRESS_EVERY = 500
"""Rows between two reports of progress."""


@dataclass(frozen=True)
class PreparedImport:
    """A file that was read and compared with the store, but not imported yet."""

    path: Path
    format: str
    key: str
    """Digest of the file, its format and the options. Repeating the same import changes nothing."""
    staging: Staging
    counts: ImportCounts

    def require_no_rejections(self) -> None:
        """Raise UserError that lists the rejected rows, if there are any."""
        if not self.counts.rejected:
            return
        lines = [f"{row.location}: {row.reason}" for row in islice(self.staging.rejected(), MAX_LISTED)]
        rows = "1 row is" if self.counts.rejected == 1 else f"{self.counts.rejected} rows are"
        raise UserError(
            f"{self.path}: {rows} rejected, so nothing was imported.\n"
            f"{listed(lines, total=self.counts.rejected, as_lines=True)}\n"
            "  To fix this: correct or remove the rows, or set the options that say how to read them. "
            "`--dry-run` shows all rejected rows; docs/reference/import-formats.md shows the formats."
        )


@contextmanager
def prepare_import(
    path: Path,
    context: ImportContext,
    store: Store | None,
    *,
    format: str | None = None,
    options: ReadOptions | None = None,
    progress: Progress = no_progress,
) -> Iterator[PreparedImport]:
    """Read a file and compare it with the store (None: an empty one), without changing the store.

    Raises UserError if the file cannot be read at all, or the options do not fit it.
    """
    options = options or ReadOptions()
    if not path.is_file():
        raise UserError(f"{path} is missing." if not path.exists() else f"{path} is not a file.")
    format = format or detect_format(path, delimited=options.delimiter is not None)
    require_consistent_options(options, format)
    key = sha256_of_json([sha256_of_file(path), format, options.plain()])
    with closing(sqlite3.connect("")) as database:
        staging = Staging(database)
        _read(path, format, options, context, staging, progress)
        if store is not None:
            staging.compare_with_store(store.find_related(staging.ids_and_questions()))
        staging.resolve_answers()
        counts = staging.counts()
        _require_rows(path, options, staging, counts)
        if store is not None and store.has_imported(key):
            # Judgements that were forgotten since do not come back with the same file.
            counts = replace(counts, new=0, known=counts.known + counts.new)
        yield PreparedImport(path, format, key, staging, counts)


def import_file(
    path: Path,
    context: ImportContext,
    store: Store,
    *,
    format: str | None = None,
    options: ReadOptions | None = None,
    progress: Progress = no_progress,
) -> tuple[str, ImportCounts]:
    """Import a file's judgements into the store. Return the format and the counts of its rows.

    Raises UserError that lists the rejected rows; the store is then unchanged.
    """
    with prepare_import(path, context, store, format=format, options=options, progress=progress) as prepared:
        return prepared.format, commit_import(prepared, context, store, progress)


def commit_import(
    prepared: PreparedImport, context: ImportContext, store: Store, progress: Progress = no_progress
) -> ImportCounts:
    """Import a prepared file into the store that it was compared with. Return the counts of its rows.

    Raises UserError that lists the rejected rows; the store is then unchanged.
    """
    prepared.require_no_rejections()
    counts = prepared.counts
    if counts.new:
        progress(0, 0, "storing")
        imported = store.add_batch(
            prepared.key, prepared.staging.judgements(context.names.register()), source=prepared.path.name
        )
        counts = replace(counts, new=imported.new, known=counts.known + counts.new - imported.new)
    return counts


def _require_rows(path: Path, options: ReadOptions, staging: Staging, counts: ImportCounts) -> None:
    """Raise UserError if no row of a file has an answer that counts: that is a mistake, and not an empty success."""
    if counts.new or counts.known or counts.outdated or counts.rejected:
        return
    skipped = staging.first_skipped
    if skipped is None:
        raise UserError(f"{path}: there is nothing to import: the file has no rows.")
    total = counts.skipped + counts.review_rejected + counts.ground_truth
    what = f" of the control {format_value(options.control)}" if options.control else ""
    detail = f"; {skipped.detail}" if skipped.detail else ""
    raise UserError(
        f"{path}: there is nothing to import: none of {total} rows has an answer{what} that counts. The first, "
        f"{skipped.location}, is {skipped.reason}{detail}."
    )


def _read(
    path: Path, format: str, options: ReadOptions, context: ImportContext, staging: Staging, progress: Progress
) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            for number, row in enumerate(FORMATS[format].read(stream, options)):
                _stage_row(row, options, context, staging)
                if number % _PROGRESS_EVERY == 0:
                    progress(min(stream.tell(), size), size, "reading")
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def _stage_row(
    row: Row | RejectedRow | SkippedRow, options: ReadOptions, context: ImportContext, staging: Staging
) -> None:
    if options.skip_empty and isinstance(row, Row) and _has_no_answer(row):
        row = SkippedRow(row.location)
    if isinstance(row, SkippedRow):
        staging.skip(row)
    elif isinstance(row, RejectedRow):
        staging.reject(row)
    else:
        try:
            staging.add(row.location, *convert_row(row.fields, options, context))
        except ValueError as error:
            staging.reject(RejectedRow(row.location, str(error)))
        except RecursionError:
            staging.reject(RejectedRow(row.location, "is nested too deeply"))


def _has_no_answer(row: Row) -> bool:
    return row.fields.get("kind") != "ranking" and all(
        is_empty(row.fields.get(name)) for name in ("answer", RATING, "groups")
    )
