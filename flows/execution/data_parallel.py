"""Learn one unit in several processes of this machine together, one for each device, which Accelerate joins."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

from flows.execution import child_process
from flows.execution.data_parallel_worker import FIRST_PROCESS, METRICS_FILE
from flows.execution.job import Job, log_file
from flows.runtime.network import LOOPBACK, free_port
from hfi_core.errors import UserError
from hfi_core.progress import Progress

_POLL_SECONDS = 0.5


def train_data_parallel(job: Job, processes: int, progress: Progress) -> dict[str, float]:
    """Run the job's unit in several processes together; return its metrics.

    Raises UserError as the stage does, or if a machine can have only one such device; ChildKilled if a process was
    killed. Then the others end, too, and the next run continues from the checkpoint.
    """
    device = job.params.compute.device
    if device not in ("cpu", "cuda"):
        raise UserError(
            f"compute.device is {device!r}, but {processes} processes need one device each. To fix this: set it to "
            "`cuda` or `cpu`, or run without --processes."
        )
    job.write()
    metrics = job.work / METRICS_FILE
    metrics.unlink(missing_ok=True)
    logs = [log_file(job.work, f"replica-{index}") for index in range(processes)]
    with ExitStack() as stack:
        port, children = free_port(), []
        for index, log in enumerate(logs):
            env = _distributed_env(index, processes, port, job.params.compute.threads)
            child = child_process.start_child(
                "flows.execution.data_parallel_worker", [str(job.work)], Path.cwd(), log, env
            )
            children.append(stack.enter_context(child))
        while any(child.poll() is None for child in children):
            if any(child.returncode for child in children):
                break
            time.sleep(_POLL_SECONDS)
            done, total, part = job.read_progress([FIRST_PROCESS])
            if total:
                progress(done, total, part)
        _require_success(children, logs)
    return json.loads(metrics.read_text(encoding="utf-8"))


def _require_success(children: list[Popen], logs: list[Path]) -> None:
    """Raise the error of the first cause: when one process fails, the others fail with it.

    A UserError comes first, then a process that was killed.
    """
    if any(child.returncode for child in children):
        time.sleep(_POLL_SECONDS)
    codes = [(child.poll(), index) for index, child in enumerate(children)]
    failed = sorted((code != child_process.USER_ERROR_CODE, code >= 0, index) for code, index in codes if code)
    for *_, index in failed:
        child_process.require_success(children[index], f"Process {index + 1} of {len(children)}", logs[index])


def _distributed_env(index: int, count: int, port: int, threads: int) -> dict[str, str]:
    """Return torch's variables of a process in a distributed group, from which Accelerate joins it."""
    return {
        "RANK": str(index), "LOCAL_RANK": str(index), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port), "OMP_NUM_THREADS": str(threads),
    }  # fmt: skip
