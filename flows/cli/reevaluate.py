"""`hfi reevaluate`: does this machine still give the evaluation's figures?"""

from typing import Annotated

import typer

Tolerance = Annotated[
    float, typer.Option(min=0, max=1, help="Share of a row's pictures that may be judged otherwise than before.")
]


def reevaluate(tolerance: Tolerance = 0.0) -> None:
    """Draw and judge every row again, aside, and say what came out otherwise.

    The evaluation that lies here stays as it is. It ends with exit code 1 where more of a row is judged otherwise. Who
    is stopped goes on from what was drawn, for some days; after a change of driver, say, remove `.hfi/reevaluation`.
    """
    from flows.execution.reevaluation import reevaluate as evaluate_again
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    with project_lock():
        rows = evaluate_again(load_params(PARAMS))
    for one in rows:
        info(str(one))
    if any(one.share > tolerance for one in rows):
        raise typer.Exit(1)
