"""`hfi feedback export`: judgements for other tools, and tasks for Label Studio."""

from pathlib import Path
from typing import Annotated

import typer

TASKS = "label-studio-tasks"


def export(
    file: Annotated[Path, typer.Argument(help="Where to write; what is there is replaced.")],
    format: Annotated[
        str, typer.Option(help=f"jsonl, csv, tsv, label-studio, label-studio-min, or {TASKS}.")
    ] = "jsonl",
    concept: Annotated[str | None, typer.Option(help="Only this concept's; tasks are always one concept's.")] = None,
    url_prefix: Annotated[
        str | None,
        typer.Option(help="Label Studio: where the pictures are served, as PREFIX/CONCEPT/pictures/ID.png."),
    ] = None,
) -> None:
    """Write the store's judgements in a format that `hfi feedback import` reads back without loss.

    `label-studio-tasks` writes what is to be judged instead: tasks with the pictures inside, unless --url-prefix says
    where they are, and beside them the labelling configuration (FILE.xml).
    """
    from flows.runtime.console import info
    from hfi_core.errors import UserError
    from hfi_core.feedback.formats.label_studio.tasks import embed_pictures, link_pictures
    from hfi_core.feedback.formats.registry import FORMATS
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    if format not in (*FORMATS, TASKS):
        raise UserError(f"--format {format!r} is not known; there are {', '.join((*FORMATS, TASKS))}.")
    if concept is not None:
        params.concept(concept)
    if file.is_dir():
        raise UserError(f"{file} is a folder; name a file.")
    if format == TASKS:
        if file.suffix == ".xml":
            raise UserError(f"{file} would be written over by the labelling configuration; let it end in .json.")
        place = link_pictures(url_prefix) if url_prefix else embed_pictures(_folder)
        count = _write_tasks(params, file, concept, place)
        info(f"{file}: {count} tasks; paste {file.with_suffix('.xml')} into the project's labelling configuration")
        return
    from hfi_core.feedback.store import open_store

    with open_store(params.feedback.database_url) as store:
        place = link_pictures(url_prefix or "")
        count = FORMATS[format].write(file, store.judgements(concept), place)
    info(f"{file}: {count} judgements")


def _folder(concept: str) -> Path:
    from hfi_core.pipeline.layout import CANDIDATES

    return CANDIDATES / concept


def _write_tasks(params, file: Path, concept: str | None, place) -> int:
    from hfi_core.candidates.manifest import read_manifest
    from hfi_core.errors import UserError
    from hfi_core.feedback.formats.label_studio.tasks import write_tasks

    if concept is None:
        if len(params.concepts) > 1:
            raise UserError(f"Say with --concept which of {', '.join(params.concepts)} is to be judged.")
        (concept,) = params.concepts
    asked = params.concepts[concept]
    candidates = read_manifest(_folder(concept))
    return write_tasks(file, concept, asked.text, asked.feedback, candidates, params.annotation.ranked, place)
