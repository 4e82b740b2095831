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
    from hfi_core.evaluation.export import PICTURES, PROMPTS, REPORT, export_row
    from hfi_core.evaluation.records import read_evaluation, read_variant, require_evaluated
    from hfi_core.params import load_params

    params = load_params(PARAMS)
    params.require_row(row)
    require_evaluated(EVALUATED_ROWS / row)
    folder = EXPORTS / row if out is None else out
    variant, evaluation = read_variant(EVALUATED_ROWS / row), read_evaluation(EVALUATION)
    pictures = export_row(params, variant, evaluation, folder, suites=suite or (), timestamp=time.time())
    info(f"{folder / PICTURES}: {pictures} pictures. {folder / PROMPTS}, {folder / REPORT}.")
