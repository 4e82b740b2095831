"""The Prefect flow that repeats an evaluation that has not changed, for a deployment with a schedule: each week."""

from typing import Annotated

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.states import Completed, Failed, State
from pydantic import Field

from flows.execution.reevaluation import OutOfDate
from flows.execution.reevaluation import reevaluate as evaluate_again
from flows.orchestration import run_log
from flows.orchestration.current_run import project_lock_of_run
from flows.orchestration.notifications import FLOW_SETTINGS
from flows.runtime import logs
from hfi_core.params import load_params
from hfi_core.pipeline.layout import PARAMS

logs.configure_logging()  # in a worker's process nobody else does
run_log.connect()

_MAX_SECONDS = 48 * 3600.0
"""A run that hangs would keep the next ones away."""


@flow(name="reevaluate", timeout_seconds=_MAX_SECONDS, **FLOW_SETTINGS)
def reevaluate(tolerance: Annotated[float, Field(ge=0, le=1)] = 0.0) -> State:
    """Draw and judge the pictures of every row again; fail if verdicts differ for more than the share `tolerance`.

    If the evaluation is out of date, the run ends in the state NotUpToDate without a notification: the nightly run
    brings the evaluation up to date.
    """
    with project_lock_of_run():
        try:
            rows = evaluate_again(load_params(PARAMS))
        except OutOfDate as error:
            return Completed(name="NotUpToDate", message=str(error))
    table = [
        {"row": row.row, "pictures": row.pictures, "drawn otherwise": row.changed_pictures,
         "judged otherwise": row.changed_verdicts}
        for row in rows
    ]  # fmt: skip
    create_table_artifact(table=table, key="reevaluation", description="Pictures that differ this time")
    state = Failed if any(row.share > tolerance for row in rows) else Completed
    return state(message="; ".join(map(str, rows)))
