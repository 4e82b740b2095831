"""`hfi stage`: run one unit, as the commands in `dvc.yaml` do."""

from typing import Annotated

import typer


def stage(
    name: Annotated[str, typer.Argument(help="Stage, for example `generate`.")],
    revision: Annotated[int, typer.Option(help="Revision of the stage; it must be that of the installed code.")],
    unit: Annotated[str, typer.Option(help="Concept, crowd or removal.")] = "",
) -> None:
    """Run one unit, even if it is up to date. `dvc repro` calls this; by hand, prefer `hfi run`."""
    from flows.execution.unit_server import run_in_server

    run_in_server()
    from flows.execution.unit import find_unit, mark_finished, remove_committed_checkpoints, run_unit
    from flows.runtime.lock import project_lock
    from flows.tracking import runs
    from flows.versioning.pointer_recovery import mark_write
    from flows.versioning.repo import open_repository
    from flows.versioning.repro_guard import start_guard
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import DVC_LOCK, PARAMS

    params = load_params(PARAMS)
    selected = find_unit(params, name, unit, revision)
    if params.feedback.store:
        from flows.feedback.snapshots import warn_if_outdated

        warn_if_outdated(params.feedback, selected)
    with project_lock():
        with open_repository():
            pass  # restores what a killed DVC process left cut off, and copies dvc.lock
        remove_committed_checkpoints()
        start_guard(selected.outputs.values())
        finished = run_unit(selected, params)
        mark_finished(selected)
        mark_write(DVC_LOCK)  # `dvc repro` rewrites it next
    runs.record_unit(params, finished)
