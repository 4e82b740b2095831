"""What all our flows have in common for Prefect."""

from flows.orchestration.notifications import tell_of_failure

SETTINGS = {
    "persist_result": False,
    "retries": 0,
    "on_failure": [tell_of_failure],
    "on_crashed": [tell_of_failure],
}
"""Keywords of `prefect.flow`."""
