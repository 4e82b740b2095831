"""`hfi stage`: run one unit, as the commands in `dvc.yaml` do."""

from typing import Annotated

import typer


def stage(
    name: Annotated[str, typer.Argument(help="Stage, for example `generate`.")],
    revision: Annotated[int, typer.Option(help="Revision of the stage; it must be that of the installed code.")],
    unit: Annotated[str, typer.Option(help="Concept, crowd or removal.")] = "",
) -> None:
    """Run one unit, even if it is up to date. `dvc repro` calls this; by hand, prefer `hfi run`."""
    from flows.execution.unit import find_unit, run_unit
    from flows.runtime.lock import project_lock
    from flows.tracking import runs
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    selected = find_unit(params, name, unit, revision)
    if params.feedback.store:
        from flows.feedback.snapshots import warn_if_outdated

        warn_if_outdated(params, selected)
    with project_lock():
        finished = run_unit(selected, params)
    runs.record_unit(params, finished)
