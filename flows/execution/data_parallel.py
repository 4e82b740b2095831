"""Has one unit learnt by several processes of this machine together, one a device, which Accelerate joins."""

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

_LOOK_SECONDS = 0.5


def train_data_parallel(order: Job, processes: int, progress: Progress) -> dict[str, float]:
    """Run the order's unit in so many processes; its metrics.

    Raises UserError as the stage does, or on a device of which there is one only; ChildKilled if one was killed. Then
    the others end, too, and the next run goes on from the checkpoint.
    """
    device = order.params.compute.device
    if device not in ("cpu", "cuda"):
        raise UserError(f"compute.device is {device!r}: {processes} processes need `cuda` or `cpu`, and take one each.")
    order.give()
    answer = order.work / METRICS_FILE
    answer.unlink(missing_ok=True)
    logs = [log_file(order.work, f"replica-{index}") for index in range(processes)]
    with ExitStack() as stack:
        port, children = free_port(), []
        for index, log in enumerate(logs):
            place = _place(index, processes, port, order.params.compute.threads)
            children.append(
                stack.enter_context(
                    child_process.start_child(
                        "flows.execution.data_parallel_worker", [str(order.work)], Path.cwd(), log, **place
                    )
                )
            )
        while any(one.poll() is None for one in children):
            if any(one.returncode for one in children):
                break
            time.sleep(_LOOK_SECONDS)
            done, total, what = order.progress([FIRST_PROCESS])
            if total:
                progress(done, total, what)
        _require_all_done(children, logs)
    return json.loads(answer.read_text(encoding="utf-8"))


def _require_all_done(children: list[Popen], logs: list[Path]) -> None:
    """The others fail when one does: a mistake that one of them can name comes first, then the one that was killed."""
    if any(one.returncode for one in children):
        time.sleep(_LOOK_SECONDS)
    ended = [(one.poll(), number) for number, one in enumerate(children)]
    failed = sorted((code != child_process.USER_ERROR_CODE, code >= 0, number) for code, number in ended if code)
    for *_, number in failed:
        child_process.require_success(children[number], f"Process {number + 1} of {len(children)}", logs[number])


def _place(index: int, count: int, port: int, threads: int) -> dict[str, str]:
    """A process's place in torch's convention, from which Accelerate reads it."""
    return {
        "RANK": str(index), "LOCAL_RANK": str(index), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port), "OMP_NUM_THREADS": str(threads),
    }  # fmt: skip
