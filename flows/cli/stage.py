"""`hfi stage`: one unit, as the commands in `dvc.yaml` call it."""

from typing import Annotated

import typer


def stage(
    name: Annotated[str, typer.Argument(help="Stage, for example `generate`.")],
    revision: Annotated[int, typer.Option(help="The stage's revision; the code must have the same.")],
    unit: Annotated[str, typer.Option(help="Concept, crowd or removal.")] = "",
) -> None:
    """Run one unit whether or not it is out of date. `dvc repro` calls this; by hand, prefer `hfi run`."""
    from flows.execution.unit import find_unit, run_unit
    from flows.runtime.lock import project_lock
    from flows.tracking import runs
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    found = find_unit(params, name, unit, revision)
    if params.feedback.store:
        from flows.feedback.snapshots import hint_if_behind

        hint_if_behind(params, found)
    with project_lock():
        done = run_unit(found, params)
    runs.record_unit(params, done)
