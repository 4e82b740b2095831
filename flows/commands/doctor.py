"""`hfi doctor`: is everything there that a run needs?"""

import typer


def doctor() -> None:
    """Check git, DVC, disk, device, model folders and versions; a failure says what to do and gives exit 1."""
    from rich.table import Table

    from flows.console import out, say
    from flows.health import findings

    table = Table(box=None, pad_edge=False, show_header=False)
    failed = 0
    for finding in findings():
        mark = "ok" if finding.well else ("FAILED" if finding.needed else "note")
        failed += not finding.well and finding.needed
        remedy = "" if finding.well else f"\n{finding.remedy}"
        table.add_row(mark, finding.name, finding.told + remedy)
    out.print(table)
    if failed:
        say(f"{failed} of what a run needs is missing.")
        raise typer.Exit(1)
    say("All that a run needs is there.")
