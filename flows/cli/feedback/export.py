"""`hfi feedback export`: write judgements for other tools, and tasks for Label Studio."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

TASKS = "label-studio-tasks"
ENDINGS = {
    ".jsonl": ("jsonl",), ".ndjson": ("jsonl",), ".csv": ("csv",), ".tsv": ("tsv",),
    ".json": ("label-studio", "label-studio-min", TASKS),
}  # fmt: skip
"""The formats that each ending stands for."""


def export(
    file: Annotated[Path, typer.Argument(help="File to write. An existing one is replaced.")],
    format: Annotated[
        str | None,
        typer.Option(
            help=f"jsonl, csv, tsv, label-studio, label-studio-min, or {TASKS}; the default follows from FILE's ending."
        ),
    ] = None,
    concept: Annotated[str | None, typer.Option(help="Only this concept. Tasks always belong to one concept.")] = None,
    url_prefix: Annotated[
        str | None,
        typer.Option(help="Label Studio: address of the pictures, PREFIX/CONCEPT/pictures/ID.png."),
    ] = None,
) -> None:
    """Write the store's judgements in a format that `hfi feedback import` reads back without loss.

    The ending of FILE says the format: .jsonl, .csv or .tsv. For .json, and for other endings, give --format.

    `label-studio-tasks` writes the tasks to judge instead, and the labelling configuration beside them (FILE.xml). The
    tasks contain the pictures, unless --url-prefix gives their address.
    """
    from flows.runtime.console import info
    from hfi_core.errors import UserError
    from hfi_core.feedback.formats.label_studio.tasks import embed_pictures, link_pictures
    from hfi_core.feedback.formats.registry import FORMATS
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    format = choose_format(file, format, (*FORMATS, TASKS))
    if concept is not None:
        params.concept(concept)
    if file.is_dir():
        raise UserError(f"{file} is a folder; name a file.")
    if format == TASKS:
        if file.suffix == ".xml":
            raise UserError(f"{file} is also the path of the labelling configuration; let FILE end in .json.")
        picture_address = link_pictures(url_prefix) if url_prefix else embed_pictures(_folder)
        count = _write_tasks(params, file, concept, picture_address)
        info(f"{file}: {count} tasks; paste {file.with_suffix('.xml')} into the project's labelling configuration")
        return
    from hfi_core.feedback.store import open_store

    with open_store(params.feedback.database_url) as store:
        picture_address = link_pictures(url_prefix or "")
        count = FORMATS[format].write(file, store.read_judgements(concept), picture_address)
    info(f"{file}: {count} judgements")


def choose_format(file: Path, format: str | None, formats: Sequence[str]) -> str:
    """Return the format to write, from --format or the ending of the file.

    Raises UserError if the two contradict each other, or if neither says the format.
    """
    from hfi_core.errors import UserError

    if format is not None and format not in formats:
        raise UserError(f"--format {format!r} is not known; there are {', '.join(formats)}.")
    ending = file.suffix.lower()
    meant = ENDINGS.get(ending, ())
    if format is None and len(meant) == 1:
        return meant[0]
    if format is None:
        problem = f"{ending} may be any of {', '.join(meant)}" if meant else "its ending does not say the format"
        raise UserError(
            f"{file}: {problem}.\n  To fix this: give --format {meant[0] if meant else 'jsonl'}, or another."
        )
    if meant and format not in meant:
        raise UserError(
            f"{file} ends in {ending}, which means {' or '.join(meant)}, but --format is {format}.\n"
            "  To fix this: leave out --format, or give FILE another ending."
        )
    return format


def _folder(concept: str) -> Path:
    from hfi_core.pipeline.layout import CANDIDATES

    return CANDIDATES / concept


def _write_tasks(params, file: Path, concept: str | None, picture_address) -> int:
    from hfi_core.candidates.manifest import read_manifest
    from hfi_core.feedback.formats.label_studio.tasks import write_tasks

    concept = params.choose_concept(concept)
    concept_params = params.concepts[concept]
    candidates = read_manifest(_folder(concept))
    return write_tasks(
        file,
        concept,
        concept_params.text,
        concept_params.feedback,
        candidates,
        params.annotation.ranked,
        picture_address,
    )
