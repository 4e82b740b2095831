"""Resume runs that wait for people, and schedule runs again whose process died with its worker.

The process of a run holds a lock, which the kernel frees when the process dies. If a run stays `Running` without a live
process, its worker died, too. If the worker lives, it reports the run as `Crashed` (killed for its memory, say); such a
run is scheduled again once. Only runs that were suspended to wait for people are resumed: a run that somebody
suspended in the UI stays suspended.
"""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from flows.orchestration import feedback_gate
from flows.orchestration.runs import find_unfinished, runs_of, waiting_runs
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
        with suppress(Timeout):  # another process of the same run holds it
            lock.acquire(timeout=0)
            _held_locks[run] = lock


def process_state(run: str) -> Literal["alive", "dead", "unknown"]:
    """Return whether the process of a run holds its lock; "unknown" if no process ever did in this project."""
    path = _lock_path(run)
    if not path.exists():
        return "unknown"
    try:
        with FileLock(path.absolute()).acquire(timeout=0):
            return "dead"
    except Timeout:
        return "alive"


def remove_run_lock(run: str) -> None:
    """Remove the lock of a run that has ended."""
    _lock_path(run).unlink(missing_ok=True)


def runs_with_locks() -> list[str]:
    """Return the runs that held a lock in this project."""
    return sorted(path.name for path in RUN_LOCKS.glob("*"))


def _lock_path(run: str) -> Path:
    return RUN_LOCKS / run


_GRACE_SECONDS = 15.0
"""In this time a worker may report the end of a run itself."""
_MAX_UNKNOWN = timedelta(minutes=10)
"""A run that took no lock in this time counts as dead."""


_REVIVED = "revived-after-crash"
"""Tag of a run that was scheduled again after a crash. What crashes a second time would crash for ever."""
_MAX_CRASH_AGE = timedelta(days=1)
"""By then the next nightly run has done the work."""


def revive(client: Any, deployment: str, grace: float = _GRACE_SECONDS) -> list[str]:
    """Schedule the dead runs of a deployment again, a crashed one only once; return their names."""
    crashed = [run for run in runs_of(client, deployment, "CRASHED") if _may_revive_crashed(run)]
    for run in crashed:
        client.update_flow_run(run.id, tags=[*run.tags, _REVIVED])  # first: a pass that dies now starts no loop
        _schedule_again(client, run)
    dead = [run.id for run in runs_of(client, deployment, "RUNNING", "PENDING") if _is_dead(run)]
    if not dead:
        _remove_locks_of_ended_runs(client)
        return [run.name for run in crashed]
    time.sleep(grace)
    still_dead = [run for run in runs_of(client, deployment, "RUNNING", "PENDING") if run.id in dead and _is_dead(run)]
    for run in still_dead:
        _schedule_again(client, run)
    return [run.name for run in (*crashed, *still_dead)]


def _schedule_again(client: Any, run: Any) -> None:
    from prefect.states import AwaitingRetry

    state = AwaitingRetry(message="Its process is gone. It starts again and continues from what was made.")
    client.set_flow_run_state(run.id, state, force=True)
    remove_run_lock(str(run.id))


def _may_revive_crashed(run: Any) -> bool:
    """Return whether a crashed run did work in this project, lately, and was not scheduled again after a crash."""
    return (
        _REVIVED not in run.tags
        and datetime.now(UTC) - run.state.timestamp < _MAX_CRASH_AGE
        and process_state(str(run.id)) == "dead"
    )


def _is_dead(run: Any) -> bool:
    state = process_state(str(run.id))
    return state == "dead" or (state == "unknown" and datetime.now(UTC) - run.state.timestamp > _MAX_UNKNOWN)


def _remove_locks_of_ended_runs(client: Any) -> None:
    """Remove locks of all deployments' runs that have ended. Only its lock shows that a run has to be revived."""
    locked = runs_with_locks()
    wanted = {
        str(run.id)
        for run in (find_unfinished(client, locked) if locked else [])
        if not run.state.is_crashed() or _may_revive_crashed(run)
    }
    for run in locked:
        if run not in wanted and process_state(run) == "dead":
            remove_run_lock(run)


def resume(client: Any, deployment: str) -> int:
    """Resume the runs of `deployment` ("safeguard/NAME") that wait for people, if there is enough feedback.

    Return how many were resumed. Call it in a flow, whose log says what is missing.
    """
    from prefect import get_run_logger

    logger = get_run_logger()
    runs = waiting_runs(client, deployment)
    if not runs:
        return 0
    params = load_params(PARAMS)
    insufficient = feedback_gate.find_insufficient(feedback_gate.measure(params, units_of(params)))
    for line in feedback_gate.describe_missing(insufficient):
        logger.info(line)
    if insufficient:
        return 0
    # The server refuses a run that a person has resumed meanwhile, or that has timed out. Nothing has to be done then.
    answers = {run.name: client.resume_flow_run(run.id).status.value for run in runs}
    logger.info("Requests to resume: %s", answers)
    return list(answers.values()).count("ACCEPT")
