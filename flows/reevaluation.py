"""The Prefect flow that evaluates again what has not changed, for a deployment with a schedule: each week."""

from typing import Annotated

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.states import Completed, Failed, State
from pydantic import Field

from flows.execution.reevaluation import OutOfDate
from flows.execution.reevaluation import reevaluate as evaluate_again
from flows.orchestration.notifications import FLOW_SETTINGS
from flows.runtime import logs
from flows.runtime.lock import project_lock
from hfi_core.params import load_params
from hfi_core.pipeline.layout import PARAMS

logs.configure_logging()  # in a worker's process nobody else does

_LONGEST = 48 * 3600.0
"""Seconds; a pass that hangs would keep the next ones away."""


@flow(name="reevaluate", timeout_seconds=_LONGEST, **FLOW_SETTINGS)
def reevaluate(tolerance: Annotated[float, Field(ge=0, le=1)] = 0.0) -> State:
    """Draw and judge every row again, and fail where more than a share `tolerance` of a row is judged otherwise.

    It ends as NotUpToDate where the evaluation is not: nobody has to be told, the nightly run makes it.
    """
    with project_lock():
        try:
            rows = evaluate_again(load_params(PARAMS))
        except OutOfDate as error:
            return Completed(name="NotUpToDate", message=str(error))
    table = [
        {"row": one.row, "pictures": one.pictures, "drawn otherwise": one.drawn_otherwise,
         "judged otherwise": one.judged_otherwise}
        for one in rows
    ]  # fmt: skip
    create_table_artifact(table=table, key="reevaluation", description="Pictures that came out otherwise this time")
    end = Failed if any(one.share > tolerance for one in rows) else Completed
    return end(message="; ".join(map(str, rows)))
