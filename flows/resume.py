"""Resumes runs that wait for people once the store has enough. Nothing else does it: Prefect waits for a person.

A deployment runs this flow, or `tend`, every minute, in the project's folder. It is idempotent, and touches only runs
that our own wait has suspended: a run that somebody suspended in the UI stays so.
"""

from typing import Any

from flows.environment import settle

settle()

from prefect import flow, get_client, get_run_logger  # noqa: E402 - settings first

from flows import waiting  # noqa: E402
from flows.deployed_runs import waiting_runs  # noqa: E402
from flows.plan import PARAMS  # noqa: E402
from hfi_core.params import read_params  # noqa: E402
from hfi_core.stage import units_of  # noqa: E402


@flow(name="resume-waiting", persist_result=False, retries=0)
def resume_waiting(deployment: str) -> int:
    """Resume the runs of `deployment` ("safeguard/NAME") that wait for people, if there is enough; how many it were."""
    with get_client(sync_client=True) as client:
        return resume(client, deployment)


def resume(client: Any, deployment: str) -> int:
    """See `resume_waiting`."""
    logger = get_run_logger()
    runs = waiting_runs(client, deployment)
    if not runs:
        return 0
    params = read_params(PARAMS)
    missing = waiting.unmet(waiting.needs(params, units_of(params)))
    for line in waiting.told(missing):
        logger.info(line)
    if missing:
        return 0
    # One that a person has resumed meanwhile, or that has timed out, is refused, which is as well.
    answers = {run.name: client.resume_flow_run(run.id).status.value for run in runs}
    logger.info("Asked to resume: %s", answers)
    return list(answers.values()).count("ACCEPT")
