"""The Prefect flow that settles promotions, for a deployment with a schedule: each minute, one at a time."""

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State

from flows.orchestration.notifications import FLOW_SETTINGS
from flows.releases.promotion import Reconciliation, reconcile_promotions
from flows.runtime import logs
from hfi_core.params import load_params
from hfi_core.pipeline.layout import PARAMS

logs.configure_logging()  # in a worker's process nobody else does

_LONGEST = 6 * 3600.0
"""Seconds, a publication included, which the next pass resumes; one that hangs would keep the next ones away."""


@flow(name="promotions", timeout_seconds=_LONGEST, **FLOW_SETTINGS)
def promotions() -> Reconciliation | State:
    """Settle what people did with the alias `champion` in MLflow.

    A promotion that was undone fails the run, so that whoever watches for failures hears of it.
    """
    params = load_params(PARAMS)
    settled = reconcile_promotions(params)
    lines = settled.told(params.release.model)
    if settled.found in ("promoted", "undone"):
        create_markdown_artifact("\n".join(f"- {line}" for line in lines), key="promotion", description=lines[0])
    if settled.found == "undone":
        return Failed(message=" ".join(lines))
    return Completed(message=lines[0], data=settled)
