"""`hfi status`: what is up to date, what is not and why, and which checkpoints lie about."""


def status() -> None:
    """Show each unit: up to date, or out of date and why; and checkpoints that a stopped run left.

    Where judgements come from the live store, it takes the snapshot first, as a run does.
    """
    from rich.table import Table

    from flows.execution.unit import checkpoints
    from flows.feedback.snapshots import renew_feedback
    from flows.orchestration.plan import make_plan
    from flows.runtime.console import info, out
    from flows.runtime.lock import project_lock_if_free

    with project_lock_if_free() as held:
        if held:  # else a run is under way, and reads the snapshot that it took
            renew_feedback()
    plan = make_plan()
    affected = {unit.address for unit in plan.affected}
    table = Table("unit", "state", "why", box=None, pad_edge=False)
    for unit in plan.units:
        address = unit.address
        if address in plan.stale:
            state, why = "out of date", plan.stale[address]
        elif address in affected:
            state, why = "may follow", "rests on a unit that is out of date"
        else:
            state, why = "up to date", ""
        if checkpoints(address):
            why = "; ".join(filter(None, [why, "has checkpoints to go on from"]))
        table.add_row(address, state, why)
    out.print(table)
    for folder in find_leftover_folders(plan.units):
        info(f"{folder} is made by no unit any more; remove it when you need it no longer.")
    todo = "" if plan.affected else ", but the release is not registered"
    info(
        f"{plan.describe().capitalize()}{todo}. Next: `hfi run`."
        if plan.registers
        else "All is up to date and registered."
    )


def find_leftover_folders(units) -> list:
    """Folders beside the outputs of units that exist, which no unit makes: rows and concepts of earlier params."""
    outputs = {path for unit in units if unit.unit for path in unit.outputs.values()}
    parents = {path.parent for path in outputs if path.parent.exists() and path.suffix == ""}
    found = {path for parent in parents for path in parent.iterdir() if path.is_dir() and path.name[0] != "."}
    return sorted(found - outputs)
