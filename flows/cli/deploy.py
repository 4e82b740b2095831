"""`hfi deploy`: send the project's deployments to a Prefect server."""

from typing import Annotated

import typer


def deploy(
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Replace deployments whose runs work in another folder.")
    ] = False,
) -> None:
    """Send the deployments of `prefect.yaml` to the Prefect server of PREFECT_API_URL, or of Prefect's profile.

    A project without the file gets one, with a nightly run and a small maintenance flow every minute. Edit the file and
    call this again to replace the deployments. A worker on this machine executes the runs in this folder.
    """
    from flows.orchestration import deployment
    from flows.project import prefect_yaml
    from flows.runtime.console import info
    from flows.versioning.results_branch import require_recordable
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    require_recordable(load_params(PARAMS).versioning)
    if deployment.write_missing():
        info(f"{prefect_yaml.PREFECT_YAML}: written. It says what runs when. Edit it, and run this again.")
    names, pools = deployment.deploy(take_over)
    for name in names:
        info(f"{name}: deployed")
    for pool in pools:
        info(f"Worker:  prefect worker start --pool {pool} --type process")
    info(f"Now:     prefect deployment run {names[0]}")
