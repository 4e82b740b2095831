"""`hfi doctor`: check everything that a run needs."""

import logging
from typing import Annotated

import typer

_LEVELS = {"ok": logging.INFO, "note": logging.WARNING, "FAILED": logging.ERROR}


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also try every connection: DVC, database, S3, MLflow, Prefect, pages.")
    ] = False,
    relocate: Annotated[
        bool,
        typer.Option("--relocate", help="After a move or copy of the project, point MLflow's records to its folder."),
    ] = False,
) -> None:
    """Check git, DVC, disk, device, model folders and versions; a failure says what to do and ends with exit code 1."""
    from flows.doctor.machine import check_machine
    from flows.runtime.console import info

    if relocate:
        _relocate()
        return
    failed = 0
    for finding in check_machine(deep):
        failed += finding.mark == "FAILED"
        _print_finding(finding)
    if failed:
        info(f"{failed} of what a run needs is missing.")
        raise typer.Exit(1)
    info("All that a run needs is there.")


def _relocate() -> None:
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from flows.tracking.relocation import find_old_folder, relocate
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    with project_lock():
        old, changed = find_old_folder(params), relocate(params)
    if old is None:
        info("MLflow's records name no other folder of this project; nothing changed.")
    else:
        info(f"{params.tracking.mlflow}: {changed} addresses pointed from {old} to this folder. Next: `hfi run`.")


def _print_finding(finding) -> None:
    """Print a finding at once, because the next server may be slow; then how to fix it."""
    from flows.runtime import logs
    from flows.runtime.console import info

    remedy = "" if finding.ok else finding.remedy
    if logs.is_structured():
        logs.log(_LEVELS[finding.mark], f"{finding.message} {remedy}".strip(), check=finding.name)
        return
    head, *rest = f"{finding.message}\n{remedy}".strip().splitlines()
    info(f"{finding.mark:<6}  {finding.name:<20}  {head}")
    for line in rest:
        info(f"{'':<30}{line}")
