"""Resume runs that wait for people, and schedule again those whose process died with its worker.

The process of a run holds a lock that the kernel frees when the process dies. A run that stays `Running` without a live
process is one whose worker died, too. Only runs that our own wait has suspended are resumed: a run that somebody
suspended in the UI stays suspended.
"""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from flows.orchestration import feedback_gate
from flows.orchestration.runs import going_among, runs_of, waiting_runs
from hfi_core.params import load_params
from hfi_core.pipeline.graph import units_of
from hfi_core.pipeline.layout import PARAMS, STATE

RUN_LOCKS = STATE / "runs"
_held_locks: dict[str, FileLock] = {}


def hold_run_lock(run: str) -> None:
    """Hold the lock of a flow run until this process ends."""
    if run not in _held_locks:
        RUN_LOCKS.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_lock_path(run).absolute())
        with suppress(Timeout):  # another process of the same run: it is that one that lives
            lock.acquire(timeout=0)
            _held_locks[run] = lock


def process_state(run: str) -> Literal["alive", "dead", "unknown"]:
    """Whether the process of a run holds its lock; `unknown` where none ever did here."""
    place = _lock_path(run)
    if not place.exists():
        return "unknown"
    try:
        with FileLock(place.absolute()).acquire(timeout=0):
            return "dead"
    except Timeout:
        return "alive"


def remove_run_lock(run: str) -> None:
    """Remove the lock of a run that has ended."""
    _lock_path(run).unlink(missing_ok=True)


def runs_with_locks() -> list[str]:
    """The runs that held a lock here."""
    return sorted(path.name for path in RUN_LOCKS.glob("*"))


def _lock_path(run: str) -> Path:
    return RUN_LOCKS / run


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
            remove_run_lock(str(run.id))
            revived.append(run.name)
    return revived


def _is_dead(run: Any) -> bool:
    found = process_state(str(run.id))
    return found == "dead" or (found == "unknown" and datetime.now(UTC) - run.state.timestamp > _UNKNOWN)


def _forget_ended(client: Any) -> None:
    """Of whichever deployment: one that another pass is to revive is known as dead by its lock alone."""
    known = runs_with_locks()
    going = {str(run.id) for run in going_among(client, known)} if known else set()
    for run in known:
        if run not in going and process_state(run) == "dead":
            remove_run_lock(run)


def resume(client: Any, deployment: str) -> int:
    """Resume the runs of `deployment` ("safeguard/NAME") that wait for people, if there is enough; how many it were.

    To be called in a flow, whose log says what is missing.
    """
    from prefect import get_run_logger

    logger = get_run_logger()
    runs = waiting_runs(client, deployment)
    if not runs:
        return 0
    params = load_params(PARAMS)
    missing = feedback_gate.unmet_needs(feedback_gate.measure_needs(params, units_of(params)))
    for line in feedback_gate.describe_missing(missing):
        logger.info(line)
    if missing:
        return 0
    # One that a person has resumed meanwhile, or that has timed out, is refused, which is as well.
    answers = {run.name: client.resume_flow_run(run.id).status.value for run in runs}
    logger.info("Asked to resume: %s", answers)
    return list(answers.values()).count("ACCEPT")
