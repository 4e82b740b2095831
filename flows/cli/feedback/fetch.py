"""`hfi feedback fetch`: judgements that others dropped into the inbox."""


def fetch() -> None:
    """Import what lies in `feedback.inbox`, each file whole or not at all, and each once.

    What was imported is moved to `taken/` there; what could not be to `rejected/`, with the reason beside it. `hfi run`
    does it by itself.
    """
    from flows.feedback.inbox import fetch_inbox, report_fetched
    from flows.runtime.console import info
    from flows.runtime.lock import project_lock
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    with project_lock():
        found = fetch_inbox(params)
    report_fetched(found)
    info(f"{params.feedback.inbox}: {len(found.taken)} taken, {len(found.rejected)} rejected.")
