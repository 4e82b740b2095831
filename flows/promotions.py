"""The Prefect flow that reconciles promotions, for a deployment with a schedule: each minute, one run at a time."""

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State

from flows.orchestration import run_log
from flows.orchestration.notifications import FLOW_SETTINGS
from flows.releases.promotion import Reconciliation, reconcile_promotions
from flows.runtime import logs
from hfi_core.params import load_params
from hfi_core.pipeline.layout import PARAMS

logs.configure_logging()  # in a worker's process nobody else does
run_log.connect()

_MAX_SECONDS = 6 * 3600.0
"""A publication is included, and the next run continues it. A run that hangs would keep the next ones away."""


@flow(name="promotions", timeout_seconds=_MAX_SECONDS, **FLOW_SETTINGS)
def promotions() -> Reconciliation | State:
    """Reconcile what people did with the alias `champion` in MLflow.

    A promotion that was undone, or an alias whose version was deleted, fails the run, so that whoever watches for
    failures hears of it.
    """
    params = load_params(PARAMS)
    result = reconcile_promotions(params)
    lines = result.describe(params.release.model)
    if result.outcome in ("promoted", "undone"):
        create_markdown_artifact("\n".join(f"- {line}" for line in lines), key="promotion", description=lines[0])
    if result.outcome in ("undone", "dangling"):
        return Failed(message=" ".join(lines))
    return Completed(message=lines[0], data=result)
