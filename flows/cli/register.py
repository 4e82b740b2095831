"""`hfi register`: register the release in MLflow's registry."""


def register() -> None:
    """Register the release in `release/` once, with its lineage and the verdicts of its gates.

    Everything that the release depends on must be up to date, because its lineage is read from the project. It gets the
    alias `candidate`. A person decides whether the alias `champion` moves to it, in MLflow.
    """
    from flows.cli.run import print_registration
    from flows.orchestration.plan import make_plan, require_up_to_date
    from flows.releases import register as registry
    from flows.runtime.lock import project_lock

    with project_lock():
        plan = make_plan()
        require_up_to_date(plan)
        print_registration(registry.register(plan.params))
