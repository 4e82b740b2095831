"""`hfi feedback import`: judgements that people have already."""

from pathlib import Path
from typing import Annotated

import typer

_FIRST = 5
"""Rows that a dry run shows as they would be read."""


def import_(
    file: Annotated[Path, typer.Argument(help="JSON Lines, CSV, TSV, or a Label Studio export (JSON, JSON_MIN).")],
    format: Annotated[
        str | None,
        typer.Option(help="jsonl, csv, tsv, label-studio or label-studio-min; without it, what the file looks like."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen and every row that would be rejected.")
    ] = False,
    concept: Annotated[str | None, typer.Option(help="Concept of rows that name none.")] = None,
    annotator: Annotated[str | None, typer.Option(help="Annotator of rows that name nobody.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, such as picture=file_name; Label Studio: a key of the task's data."),
    ] = None,
    yes: Annotated[list[str] | None, typer.Option(help="A word that means yes (objectionable).")] = None,
    no: Annotated[list[str] | None, typer.Option(help="A word that means no (accepted).")] = None,
    cant_tell: Annotated[list[str] | None, typer.Option(help="A word that means can't tell.")] = None,
    rating_yes: Annotated[float | None, typer.Option(help="Ratings from here up mean yes.")] = None,
    rating_no: Annotated[
        float | None, typer.Option(help="Ratings up to here mean no; those between are can't tell.")
    ] = None,
    control: Annotated[str | None, typer.Option(help="Label Studio: name of the control whose result counts.")] = None,
    buckets: Annotated[
        str | None, typer.Option(help="Label Studio's Ranker: names of its buckets, the strongest first, by commas.")
    ] = None,
) -> None:
    """Bring judgements into the store: all rows of a file or none, and the same file again changes nothing.

    Annotators' names become pseudonyms. Pictures are found by id, by sha256, or by file name where that is unique.
    """
    from flows.feedback.import_context import format_counts, open_import_context
    from flows.runtime.console import info, show_progress
    from hfi_core.feedback.formats.importer import import_file, prepare_import
    from hfi_core.feedback.formats.row import ReadOptions
    from hfi_core.feedback.store import open_store
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    _require_known(format)
    reading = ReadOptions(
        concept=concept, annotator=annotator, columns=_columns(column or []), yes=tuple(yes or ()), no=tuple(no or ()),
        cant_tell=tuple(cant_tell or ()), rating_yes=rating_yes, rating_no=rating_no, control=control,
        buckets=tuple(name.strip() for name in buckets.split(",")) if buckets else (),
    )  # fmt: skip
    with open_import_context(params) as project:
        if dry_run:
            with (
                _store_to_look_at(params.feedback.database_url) as store,
                prepare_import(file, project, store, format=format, reading=reading) as found,
            ):
                _show(found, len(project.names.newcomers))
                found.require_whole()
            return
        with show_progress(f"import {file.name}") as progress, open_store(params.feedback.database_url) as store:
            kind, counts = import_file(file, project, store, format=format, reading=reading, progress=progress)
    info(f"{file} ({kind}): {format_counts(counts)}")
    if not params.feedback.store:
        info("params.yaml has feedback.store: false, so runs read feedback.file; `hfi feedback snapshot` writes it.")


def _require_known(format: str | None) -> None:
    from hfi_core.errors import UserError
    from hfi_core.feedback.formats.registry import FORMATS

    if format is not None and format not in FORMATS:
        raise UserError(f"--format {format!r} is not known; there are {', '.join(FORMATS)}.")


def _columns(pairs: list[str]) -> dict[str, str]:
    from hfi_core.errors import UserError

    columns = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not (field and sign and column):
            raise UserError(f"--column {pair!r} is not FIELD=COLUMN, such as picture=file_name.")
        columns[field] = column
    return columns


def _store_to_look_at(url: str):
    """The store, or nothing where none has been made: a dry run makes none."""
    from contextlib import nullcontext

    from hfi_core.feedback.store import open_store

    made_in = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None
    return nullcontext() if made_in and not Path(made_in).exists() else open_store(url)


def _show(found, newcomers: int) -> None:
    """What an import would do: counts, the first rows as they would be read, and every rejected row."""
    import json

    from flows.feedback.import_context import format_counts
    from flows.runtime.console import info
    from hfi_core.feedback.schema import dump_judgement

    info(f"{found.path} ({found.format}), dry run: {format_counts(found.counts)}, {found.counts.rejected} rejected")
    info(f"{newcomers} annotators are new; they would get pseudonyms, the ones shown here are not theirs yet.")
    for where, judgement in found.staging.first(_FIRST):
        info(f"  {where}: {json.dumps(dump_judgement(judgement))}")
    for rejected in found.staging.rejected():
        info(f"  rejected: {rejected.where}: {rejected.reason}")
