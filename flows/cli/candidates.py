"""`hfi candidates`: bring pictures in that exist already, and let judged ones expire."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import candidates_expire

app = typer.Typer(no_args_is_help=True, help="Bring pictures in that exist already, and let judged ones expire.")
app.command()(candidates_expire.expire)

IMPORTED = Path("data/candidates")


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures (PNG, JPEG, WebP, BMP), with its subfolders.")],
    name: Annotated[str, typer.Option(help="What to call them: they become data/candidates/NAME.")],
    table: Annotated[
        Path | None, typer.Option(help="CSV with the columns file, prompt, seed and model, where they are known.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=16, max=4096, help="Crop to the middle square and scale to so many pixels.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Pictures that FOLDER no longer has may go.")] = False,
) -> None:
    """Take pictures that exist already, such as a moderation queue, as candidates: checked, hashed and listed.

    All of them or none. The same folder again changes nothing.
    """
    from pydantic import TypeAdapter, ValidationError

    from flows.runtime.console import progress_of, say
    from hfi_core.candidates.importer import import_candidates
    from hfi_core.candidates.picture_table import read_picture_table
    from hfi_core.errors import UserError
    from hfi_core.params import Name

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise UserError(f"--name {name!r}: small letters, digits, `_` and `-` are allowed, at most 64.") from error
    known = read_picture_table(table) if table else None
    target = IMPORTED / name
    with progress_of(f"import {name}") as progress:
        found = import_candidates(
            folder, target, known=known, leave_out=table, size=size, replace=replace, progress=progress
        )
    say(f"{target}: {found.pictures} pictures" + ("" if found.changed else ", as before"))
    if found.converted:
        say(f"  {found.converted} were converted to RGB PNG; the manifest says how each")
    if found.repeated:
        say(f"  {found.repeated} files have the bytes of another one and were left out")
    if found.changed:
        say(f"Next: `dvc add {target}`, commit {target}.dvc, and say `candidates.imported: {{CONCEPT: {target}}}`.")
