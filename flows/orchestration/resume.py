"""Resumes runs that wait for people once the store has enough. Nothing else does it: Prefect waits for a person.

It is idempotent, and touches only runs that our own wait has suspended: a run that somebody suspended in the UI stays
so.
"""

from typing import Any

from flows.orchestration import feedback_gate
from flows.orchestration.plan import PARAMS
from flows.orchestration.runs import waiting_runs
from hfi_core.params import read_params
from hfi_core.pipeline.graph import units_of


def resume(client: Any, deployment: str) -> int:
    """Resume the runs of `deployment` ("safeguard/NAME") that wait for people, if there is enough; how many it were.

    To be called in a flow, whose log says what is missing.
    """
    from prefect import get_run_logger

    logger = get_run_logger()
    runs = waiting_runs(client, deployment)
    if not runs:
        return 0
    params = read_params(PARAMS)
    missing = feedback_gate.unmet(feedback_gate.needs(params, units_of(params)))
    for line in feedback_gate.told(missing):
        logger.info(line)
    if missing:
        return 0
    # One that a person has resumed meanwhile, or that has timed out, is refused, which is as well.
    answers = {run.name: client.resume_flow_run(run.id).status.value for run in runs}
    logger.info("Asked to resume: %s", answers)
    return list(answers.values()).count("ACCEPT")
