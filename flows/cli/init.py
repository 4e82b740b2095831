"""`hfi init`: create a project whose code is the installed package."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the project; created if it is missing.")],
    preset: Annotated[
        str,
        typer.Option(
            help="Params to begin with: `embedded` (the demo, no GPU), `comparison` (every technique on its model), "
            "`concepts` (emblems and a style together), `signs` (its sibling), `sd15` or `sdxl`."
        ),
    ] = "embedded",
) -> None:
    """Create a project: a git and DVC repository with complete params. One installed package serves many projects.

    It never overwrites a file: if one exists, it names the file and writes nothing.
    """
    from flows.project.init import create_project
    from flows.runtime.console import info

    for path in create_project(folder, preset):
        info(f"{folder / path}: written")
    info(f"Next:    cd {folder}")
    info("         git commit -m 'Begin'")
    if preset == "signs":
        info("         python -m hfi_core.embedded.build data/signs --world signs --start embedded")
        info("         hfi params pin")
    elif preset not in ("embedded", "comparison", "concepts"):
        info("         edit params.yaml: model, concept, prompts; then `hfi params pin`")
    info("         hfi doctor; hfi plan; hfi run")
