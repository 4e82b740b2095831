"""`hfi feedback import`: import judgements from a file."""

from pathlib import Path
from typing import Annotated

import typer

_MAX_PREVIEW = 5
"""Rows that a dry run shows as it reads them."""


def import_(
    file: Annotated[Path, typer.Argument(help="JSON Lines, CSV, TSV, or a Label Studio export (JSON, JSON_MIN).")],
    human_evaluation: Annotated[
        str | None,
        typer.Option(metavar="BATCH", help="The judgements are about this batch; see `hfi human-evaluation`."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="jsonl, csv, tsv, label-studio or label-studio-min. Without it, the format is detected."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the result and all rejected rows, and change nothing.")
    ] = False,
    concept: Annotated[str | None, typer.Option(help="Concept of rows without one.")] = None,
    annotator: Annotated[str | None, typer.Option(help="Annotator of rows without one.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, such as picture=file_name. JSON: a key; Label Studio: of task or annotation."),
    ] = None,
    yes: Annotated[list[str] | None, typer.Option(help="A word that means yes (objectionable).")] = None,
    no: Annotated[list[str] | None, typer.Option(help="A word that means no (accepted).")] = None,
    cant_tell: Annotated[list[str] | None, typer.Option(help="A word that means can't tell.")] = None,
    rating_yes: Annotated[float | None, typer.Option(help="Lowest rating that means yes.")] = None,
    rating_no: Annotated[
        float | None, typer.Option(help="Highest rating that means no. Ratings between the two mean can't tell.")
    ] = None,
    control: Annotated[str | None, typer.Option(help="Label Studio: name of the control whose result counts.")] = None,
    buckets: Annotated[
        str | None,
        typer.Option(help="Label Studio's Ranker: its buckets' names, the strongest first, separated by commas."),
    ] = None,
    ground_truth: Annotated[
        bool, typer.Option("--ground-truth", help="Label Studio: count annotations that are marked as ground truth.")
    ] = False,
    delimiter: Annotated[
        str | None, typer.Option(help="CSV: the character between cells, such as `;`, `|` or tab.")
    ] = None,
    quoting: Annotated[
        str | None,
        typer.Option(help="CSV, TSV: `double` if quotation marks enclose cells, `none` if they are text."),
    ] = None,
    skip_empty: Annotated[
        bool, typer.Option("--skip-empty", help="Pass over rows without an answer. Otherwise they are rejected.")
    ] = False,
    timezone: Annotated[
        str | None, typer.Option(help="Zone of times that name none: UTC, Europe/Berlin or +01:00.")
    ] = None,
    time_format: Annotated[
        list[str] | None,
        typer.Option(help="unix, unix-ms, excel or excel-1904 for numbers; day-first or month-first; or %d.%m.%Y."),
    ] = None,
) -> None:
    """Import judgements into the store: all rows of a file or none. Importing the same file again changes nothing.

    Annotators' names become pseudonyms. Pictures are found by id, by sha256, or by file name if it is unique.
    """
    from flows.feedback.import_context import format_counts, open_import_context
    from flows.runtime.console import info, show_progress
    from hfi_core.feedback.formats.importer import import_file, prepare_import
    from hfi_core.feedback.formats.row import ReadOptions
    from hfi_core.feedback.store import open_store
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params, folders = load_params(PARAMS), None
    _require_known(format)
    if human_evaluation is not None:
        from flows.serving.annotation import open_batch

        params, pictures = open_batch(params, human_evaluation)
        folders = {human_evaluation: pictures}
    options = ReadOptions(
        concept=concept, annotator=annotator, columns=_columns(column or []), yes=tuple(yes or ()), no=tuple(no or ()),
        cant_tell=tuple(cant_tell or ()), rating_yes=rating_yes, rating_no=rating_no, control=control,
        buckets=tuple(name.strip() for name in buckets.split(",")) if buckets else (),
        ground_truth=ground_truth, skip_empty=skip_empty, quoting=quoting,
        delimiter="\t" if delimiter in ("tab", "\\t") else delimiter,
        timezone=timezone, time_formats=tuple(time_format or ()),
    )  # fmt: skip
    with open_import_context(params, folders) as context:
        if dry_run:
            with (
                _open_existing_store(params.feedback.database_url) as store,
                prepare_import(file, context, store, format=format, options=options) as prepared,
            ):
                _show(prepared, len(context.names.new_names))
                prepared.require_no_rejections()
            return
        with show_progress(f"import {file.name}") as progress, open_store(params.feedback.database_url) as store:
            detected_format, counts = import_file(
                file, context, store, format=format, options=options, progress=progress
            )
    info(f"{file} ({detected_format}): {format_counts(counts)}")
    if human_evaluation is not None:
        info(f"Next: `hfi human-evaluation collect {human_evaluation}`.")
    elif not params.feedback.store:
        info("params.yaml has feedback.store: false, so runs read feedback.file; `hfi feedback snapshot` writes it.")


def _require_known(format: str | None) -> None:
    from hfi_core.errors import UserError
    from hfi_core.feedback.formats.registry import FORMATS

    if format is not None and format not in FORMATS:
        raise UserError(f"--format {format!r} is not known; there are {', '.join(FORMATS)}.")


def _columns(pairs: list[str]) -> dict[str, str]:
    from hfi_core.errors import UserError

    columns: dict[str, str] = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not (field and sign and column):
            raise UserError(f"--column {pair!r} is not FIELD=COLUMN, such as picture=file_name.")
        if columns.get(field, column) != column:
            raise UserError(f"--column maps {field} to {columns[field]!r} and to {column!r}; choose one.")
        columns[field] = column
    return columns


def _open_existing_store(url: str):
    """Open the store, or None if there is none yet: a dry run does not create it."""
    from contextlib import nullcontext

    from hfi_core.feedback.store import open_store

    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None
    return nullcontext() if path and not Path(path).exists() else open_store(url)


def _show(prepared, new_names: int) -> None:
    """Print what an import would do: counts, the first rows, and all rejected rows."""
    import json

    from flows.feedback.import_context import format_counts
    from flows.runtime.console import info
    from hfi_core.feedback.schema import dump_judgement

    counts = prepared.counts
    info(f"{prepared.path} ({prepared.format}), dry run: {format_counts(counts)}, {counts.rejected} rejected")
    info(f"{new_names} annotators are new; their pseudonyms below are provisional.")
    for location, judgement in prepared.staging.preview(_MAX_PREVIEW):
        info(f"  {location}: {json.dumps(dump_judgement(judgement))}")
    for rejected in prepared.staging.rejected():
        info(f"  rejected: {rejected.location}: {rejected.reason}")
