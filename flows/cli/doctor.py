"""`hfi doctor`: is everything there that a run needs?"""

import logging
from typing import Annotated

import typer

_LEVELS = {"ok": logging.INFO, "note": logging.WARNING, "FAILED": logging.ERROR}


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Try every connection, too: DVC, database, S3, MLflow, Prefect, pages.")
    ] = False,
) -> None:
    """Check git, DVC, disk, device, model folders and versions; a failure says what to do and gives exit 1."""
    from flows.doctor.machine import findings
    from flows.runtime.console import info

    failed = 0
    for finding in findings(deep):
        failed += finding.mark == "FAILED"
        _tell(finding)
    if failed:
        info(f"{failed} of what a run needs is missing.")
        raise typer.Exit(1)
    info("All that a run needs is there.")


def _tell(finding) -> None:
    """A line as soon as it is known, since a server may take its time; then how to mend it."""
    from flows.runtime import logs
    from flows.runtime.console import info

    remedy = "" if finding.well else finding.remedy
    if logs.is_structured():
        logs.log(_LEVELS[finding.mark], f"{finding.told} {remedy}".strip(), check=finding.name)
        return
    head, *rest = f"{finding.told}\n{remedy}".strip().splitlines()
    info(f"{finding.mark:<6}  {finding.name:<20}  {head}")
    for line in rest:
        info(f"{'':<30}{line}")
