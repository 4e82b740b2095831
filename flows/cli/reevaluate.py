"""`hfi reevaluate`: check whether this machine still reproduces the evaluation's figures."""

from typing import Annotated

import typer

Tolerance = Annotated[
    float, typer.Option(min=0, max=1, help="Share of a row's pictures whose verdict may differ from the evaluation's.")
]


def reevaluate(tolerance: Tolerance = 0.0) -> None:
    """Draw and judge every row again in another folder, and list the differences.

    The project's evaluation stays as it is. It ends with exit code 1 if a row differs by more than the tolerance. If it
    is stopped, it continues for some days from what was drawn. After a change of the driver, for example, remove
    `.hfi/reevaluation` first.
    """
    from flows.execution.reevaluation import reevaluate as evaluate_again
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    with project_lock():
        rows = evaluate_again(load_params(PARAMS))
    for row in rows:
        info(str(row))
    if any(row.share > tolerance for row in rows):
        raise typer.Exit(1)
