"""`hfi compare`: two registered versions side by side."""

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="Number, NAME/NUMBER, NAME@ALIAS, or an alias such as champion.")]


def compare(
    first: Name,
    second: Name,
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="An HTML file with pictures.")] = None,
) -> None:
    """Show the figures of two registered versions, and how they differ picture by picture."""
    from rich.table import Table

    from flows.releases.comparison import compare_versions, shown_difference
    from flows.runtime.console import info, out
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    compared = compare_versions(load_params(PARAMS), first, second, page)
    table = Table("figure", first, second, "difference", box=None)
    for one in compared:
        table.add_row(one.metric, one.first, one.second, shown_difference(one))
    out.print(table)
    if page:
        info(f"Pictures at equal seeds: {page}")
