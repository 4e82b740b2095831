"""`hfi compare`: compare two registered versions."""

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="Number, NAME/NUMBER, NAME@ALIAS, or an alias such as champion.")]


def compare(
    first: Name,
    second: Name,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Write the pictures of both to an HTML file.")
    ] = None,
) -> None:
    """Show the figures of two registered versions and their paired differences."""
    from rich.table import Table

    from flows.releases.comparison import compare_versions, format_difference
    from flows.runtime.console import info, out
    from hfi_core.io.atomic import require_writable
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    if page:
        require_writable(page)
    compared = compare_versions(load_params(PARAMS), first, second, page)
    table = Table("figure", first, second, "difference", box=None)
    for figure in compared:
        table.add_row(figure.metric, figure.first, figure.second, format_difference(figure))
    out.print(table)
    if page:
        info(f"Pictures at equal seeds: {page}")
