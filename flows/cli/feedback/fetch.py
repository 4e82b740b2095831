"""`hfi feedback fetch`: import the files that others uploaded to the inbox."""


def fetch() -> None:
    """Import the files in `feedback.inbox`, each exactly once, and completely or not at all.

    Imported files are moved to `taken/`, others to `rejected/` with the reason beside them. What is in a folder below
    the inbox and cannot be imported stays. `hfi run` does this itself.
    """
    from flows.feedback.inbox import fetch_inbox, report_fetched
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    with project_lock():
        result = fetch_inbox(params)
    report_fetched(result)
    info(
        f"{params.feedback.inbox}: {len(result.taken)} taken, {len(result.rejected)} rejected"
        + (f", {len(result.left)} left." if result.left else ".")
    )
