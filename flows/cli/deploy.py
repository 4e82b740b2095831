"""`hfi deploy`: the project's deployments to a Prefect server."""


def deploy() -> None:
    """Send the deployments of `prefect.yaml` to the Prefect server that PREFECT_API_URL names.

    A project without the file gets one: a nightly run, and a small flow that looks after the runs every minute. Edit
    it, and call this again: it replaces what is there. Runs work in this folder, by a worker on this machine.
    """
    from flows.orchestration import deployment
    from flows.runtime.console import info
    from flows.versioning.results_branch import require_recordable
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    require_recordable(load_params(PARAMS))
    if deployment.write_missing():
        info(f"{deployment.PREFECT_YAML}: written; it says what runs when. Edit it, and run this again.")
    names, pools = deployment.deploy()
    for name in names:
        info(f"{name}: deployed")
    for pool in pools:
        info(f"Worker:  prefect worker start --pool {pool} --type process")
    info(f"Now:     prefect deployment run {names[0]}")
