"""`hfi register`: the release into MLflow's registry."""


def register() -> None:
    """Register the release that lies in `release/`, once, with its lineage and its gates' verdicts.

    It gets the alias `candidate`. Moving the alias `champion` to it, in MLflow, is a person's decision.
    """
    from flows import registry
    from flows.commands.run import print_registration
    from flows.lock import project_lock
    from flows.plan import PARAMS
    from hfi_core.params import read_params

    with project_lock():
        print_registration(registry.register(read_params(PARAMS)))
