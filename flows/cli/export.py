"""`hfi export`: write a row's pictures, prompts and figures for harnesses of the field."""

from pathlib import Path
from typing import Annotated

import typer

from hfi_core.pipeline.layout import EVALUATED_ROWS, EVALUATION, EXPORTS, PARAMS


def export(
    row: Annotated[str, typer.Argument(help="`base`, or a removal of params.yaml that has been evaluated.")],
    suite: Annotated[
        list[str] | None, typer.Option(help="Only this suite of prompts. May be given several times.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"A new folder, or that of an earlier export; by default `{EXPORTS}/ROW`.")
    ] = None,
) -> None:
    """Write a row's pictures and prompts as UnlearnDiffAtk reads them, and its figures as eval-unlearn writes them."""
    import time

    from flows.runtime.console import info
    from hfi_core.errors import UserError
    from hfi_core.evaluation.export import PICTURES, PROMPTS, REPORT, export_row
    from hfi_core.evaluation.records import RECORDS, read_evaluation, read_variant
    from hfi_core.params import load_params

    params = load_params(PARAMS)
    if row not in params.removals:
        raise UserError(f"There is no row {row!r}; params.yaml has {', '.join(params.removals)}.")
    if not (EVALUATED_ROWS / row / RECORDS).exists():
        raise UserError(f"{EVALUATED_ROWS / row} is missing. To make it: `hfi run`.")
    folder = EXPORTS / row if out is None else out
    variant, evaluation = read_variant(EVALUATED_ROWS / row), read_evaluation(EVALUATION)
    pictures = export_row(params, variant, evaluation, folder, suites=suite or (), timestamp=time.time())
    info(f"{folder / PICTURES}: {pictures} pictures. {folder / PROMPTS}, {folder / REPORT}.")
