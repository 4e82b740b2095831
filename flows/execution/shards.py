"""The shards of a unit as Prefect tasks, on threads here or on Ray's workers; each minds a process that does the work.

A process of its own for each shard, wherever that is: it begins as bare as `hfi run` did, so its bits are the same, and
when it is killed nothing else is. What it had finished stays, and it alone is started again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.execution import child_process
from flows.execution.job import Job, log_file, require_shared_storage, stop_file
from flows.execution.parallelism import Parallelism
from flows.execution.shard_worker import shard_name
from hfi_core.pipeline.stage import Shard
from hfi_core.progress import Progress

RETRIES = 2
"""How often a shard whose process was killed is started again. What failed by itself would fail again."""
_PAUSE_SECONDS = 1
_LOOK_SECONDS = 0.5


class RunStopped(Exception):
    """The run that ordered the shard has stopped."""


def compute_shards(order: Job, spread: Parallelism, progress: Progress) -> None:
    """Have each part of the unit that can be split computed by `spread.shards` shards, part by part.

    Raises UserError where a machine does not see the project, where Ray is missing or out of reach, and as the stage
    does; the first that fails stops the others, and what they had finished stays.
    """
    order.give()
    with _runner(order, spread) as runner:
        try:
            for part in range(len(order.unit.stage.shards)):
                _fill_part(runner, order, part, spread.shards, progress)
        except BaseException:
            order.stop()
            raise


def _fill_part(runner: TaskRunner, order: Job, part: int, count: int, progress: Progress) -> None:
    ended: SimpleQueue[Any] = SimpleQueue()
    for index in range(count):
        asked = {"project": str(Path.cwd()), "work": str(order.work), "part": part, "index": index, "count": count}
        task = _shard_task(f"{order.unit.address}: part {part + 1}, shard {index + 1} of {count}")
        runner.submit(task, asked).add_done_callback(ended.put)
    names = [shard_name(part, Shard(index, count)) for index in range(count)]
    left = count
    while left:
        try:
            ended.get(timeout=_LOOK_SECONDS).result()
            left -= 1
        except Empty:
            done, total, what = order.progress(names)
            if total:
                progress(done, total, what)


@contextmanager
def _runner(order: Job, spread: Parallelism) -> Iterator[TaskRunner]:
    if spread.ray is None:
        with ThreadPoolTaskRunner(max_workers=spread.shards) as runner:
            yield runner
    else:
        from flows.execution.ray_cluster import ray_runner

        with ray_runner(spread.ray, order.params.compute) as runner:
            yield runner


def _shard_task(name: str) -> Task:
    return Task(
        run_shard,
        name="shard",
        task_run_name=name,
        retries=RETRIES,
        retry_delay_seconds=_PAUSE_SECONDS,
        retry_condition_fn=_was_killed,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def run_shard(project: str, work: str, part: int, index: int, count: int) -> None:
    """Mind the process of one shard until it ends, on whatever machine this is called.

    Raises UserError if this machine does not see the project, or as the stage does; ChildKilled if the process was
    killed; Stopped once the run has stopped.
    """
    folder, shard = Path(project), Shard(index, count)
    require_shared_storage(folder, Path(work))
    log, sign = log_file(folder / work, shard_name(part, shard)), stop_file(folder / work)
    with child_process.start_child(
        "flows.execution.shard_worker", [work, str(part), str(index), str(count)], folder, log
    ) as process:
        while process.poll() is None:
            if sign.exists():
                raise RunStopped
            time.sleep(_LOOK_SECONDS)
        child_process.require_success(process, f"Shard {index + 1} of {count}", log)


def _was_killed(task: Task, run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), child_process.ChildKilled)
