"""Runs whose process died with its worker: they are scheduled again, and start from the top, where DVC is the cache.

A worker that lives marks the death of its runs itself; a run that stays `Running` with nobody behind it is one whose
worker died, too.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from flows.orchestration import liveness
from flows.orchestration.runs import going_among, runs_of

_GRACE = 15.0
"""Seconds in which a worker may say itself what became of a run."""
_UNKNOWN = timedelta(minutes=10)
"""After which a run that never came as far as its lock is taken for dead."""


def revive(client: Any, deployment: str, grace: float = _GRACE) -> list[str]:
    """Schedule the dead runs of a deployment again; their names."""
    from prefect.states import AwaitingRetry

    dead = [run.id for run in runs_of(client, deployment, "RUNNING", "PENDING") if _is_dead(run)]
    if not dead:
        _forget_ended(client)
        return []
    time.sleep(grace)
    revived = []
    for run in runs_of(client, deployment, "RUNNING", "PENDING"):
        if run.id in dead and _is_dead(run):
            state = AwaitingRetry(message="Its process is gone; it starts again and goes on from what was made.")
            client.set_flow_run_state(run.id, state, force=True)
            liveness.forget(str(run.id))
            revived.append(run.name)
    return revived


def _is_dead(run: Any) -> bool:
    found = liveness.look(str(run.id))
    return found == "dead" or (found == "unknown" and datetime.now(UTC) - run.state.timestamp > _UNKNOWN)


def _forget_ended(client: Any) -> None:
    """Of whichever deployment: one that another pass is to revive is known as dead by its lock alone."""
    known = liveness.known()
    going = {str(run.id) for run in going_among(client, known)} if known else set()
    for run in known:
        if run not in going and liveness.look(run) == "dead":
            liveness.forget(run)
