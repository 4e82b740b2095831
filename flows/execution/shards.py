"""Compute a unit in shards: each is a Prefect task, on a local thread or on a Ray worker, with a process of its own.

The process starts in the same state as `hfi run` did, so its results have the same bits. If it is killed, nothing else
is. The blocks that it had finished stay, and only that shard is started again.
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
from hfi_core.compute.shards import Shard
from hfi_core.progress import Progress

RETRIES = 2
"""Restarts of a shard whose process was killed. An error of the shard itself would only come again."""
_RETRY_DELAY_SECONDS = 1
_POLL_SECONDS = 0.5


class RunStopped(Exception):
    """Error of a shard whose run has stopped."""


def compute_shards(job: Job, parallelism: Parallelism, progress: Progress) -> None:
    """Compute each part of the job's unit that can be split in `parallelism.shards` shards, one part after the other.

    Raises UserError if a machine does not see the project, if Ray is missing or out of reach, and as the stage does.
    The first shard that fails stops the others, and the blocks that they had finished stay.
    """
    job.write()
    with _task_runner(job, parallelism) as runner:
        try:
            for part in range(len(job.unit.stage.shards)):
                _compute_part(runner, job, part, parallelism.shards, progress)
        except BaseException:
            job.request_stop()
            raise


def _compute_part(runner: TaskRunner, job: Job, part: int, count: int, progress: Progress) -> None:
    ended: SimpleQueue[Any] = SimpleQueue()
    for index in range(count):
        arguments = {"project": str(Path.cwd()), "work": str(job.work), "part": part, "index": index, "count": count}
        task = _shard_task(f"{job.unit.address}: part {part + 1}, shard {index + 1} of {count}")
        runner.submit(task, arguments).add_done_callback(ended.put)
    names = [shard_name(part, Shard(index, count)) for index in range(count)]
    left = count
    while left:
        try:
            ended.get(timeout=_POLL_SECONDS).result()
            left -= 1
        except Empty:
            done, total, what = job.read_progress(names)
            if total:
                progress(done, total, what)


@contextmanager
def _task_runner(job: Job, parallelism: Parallelism) -> Iterator[TaskRunner]:
    if parallelism.ray is None:
        with ThreadPoolTaskRunner(max_workers=parallelism.shards) as runner:
            yield runner
    else:
        from flows.execution.ray_cluster import ray_runner

        with ray_runner(parallelism.ray, job.params.compute) as runner:
            yield runner


def _shard_task(name: str) -> Task:
    return Task(
        run_shard,
        name="shard",
        task_run_name=name,
        retries=RETRIES,
        retry_delay_seconds=_RETRY_DELAY_SECONDS,
        retry_condition_fn=_was_killed,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def run_shard(project: str, work: str, part: int, index: int, count: int) -> None:
    """Start the process of one shard on this machine, and wait until it ends.

    Raises UserError if this machine does not see the project, or as the stage does; ChildKilled if the process was
    killed; Stopped once the run has stopped.
    """
    folder, shard = Path(project), Shard(index, count)
    require_shared_storage(folder, Path(work))
    log, stop = log_file(folder / work, shard_name(part, shard)), stop_file(folder / work)
    with child_process.start_child(
        "flows.execution.shard_worker", [work, str(part), str(index), str(count)], folder, log
    ) as process:
        while process.poll() is None:
            if stop.exists():
                raise RunStopped
            time.sleep(_POLL_SECONDS)
        child_process.require_success(process, f"Shard {index + 1} of {count}", log)


def _was_killed(task: Task, run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), child_process.ChildKilled)
