"""`hfi status`: list which units are up to date, which are not and why, and which have checkpoints."""


def status() -> None:
    """Show for each unit whether it is up to date, why not, and whether a stopped run left checkpoints.

    If judgements come from the live store, it renews the snapshot first, as a run does.
    """
    from rich.table import Table

    from flows.execution.unit import checkpoints, remove_committed_checkpoints
    from flows.feedback.snapshots import renew_snapshot
    from flows.orchestration.plan import make_plan
    from flows.releases.registration_check import describe_registration
    from flows.runtime.console import info, out
    from flows.runtime.lock import project_lock_if_free

    with project_lock_if_free() as held:
        if held:  # else a run is active, and reads the snapshot that it took
            renew_snapshot()
    plan = make_plan()
    remove_committed_checkpoints(unit.address for unit in plan.units if unit.address not in plan.stale)
    affected = {unit.address for unit in plan.affected}
    table = Table("unit", "state", "why", box=None, pad_edge=False)
    for unit in plan.units:
        address = unit.address
        if address in plan.stale:
            state, why = "out of date", plan.stale[address]
        elif address in affected:
            state, why = "may follow", "depends on a unit that is out of date"
        else:
            state, why = "up to date", ""
        if checkpoints(address):
            why = "; ".join(filter(None, [why, "has checkpoints to continue from"]))
        table.add_row(address, state, why)
    out.print(table)
    for folder in find_leftover_folders(plan.units):
        info(f"No unit makes {folder} any more; remove it when you no longer need it.")
    registration = "" if plan.affected else ", but the release is not registered"
    info(
        f"{plan.describe().capitalize()}{registration}. Next: `hfi run`."
        if plan.registers
        else describe_registration(plan.params)
    )


def find_leftover_folders(units) -> list:
    """Return folders of rows and concepts of earlier params: they are beside outputs, but no unit makes them now."""
    outputs = {path for unit in units if unit.unit for path in unit.outputs.values()}
    parents = {path.parent for path in outputs if path.parent.exists() and path.suffix == ""}
    folders = {path for parent in parents for path in parent.iterdir() if path.is_dir() and path.name[0] != "."}
    return sorted(folders - outputs)
