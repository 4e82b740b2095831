"""`hfi register`: the release into MLflow's registry."""


def register() -> None:
    """Register the release that lies in `release/`, once, with its lineage and its gates' verdicts.

    All that the release rests on must be up to date: its lineage is told from what lies here. It gets the alias
    `candidate`. Moving the alias `champion` to it, in MLflow, is a person's decision.
    """
    from flows.cli.run import print_registration
    from flows.orchestration.plan import make_plan, require_up_to_date
    from flows.releases import register as registry
    from flows.runtime.lock import project_lock

    with project_lock():
        plan = make_plan()
        require_up_to_date(plan)
        print_registration(registry.register(plan.params))
