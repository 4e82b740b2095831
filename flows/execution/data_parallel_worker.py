"""One of the processes that learn a removal together, which `flows.execution.data_parallel` starts with WORK."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.execution import child_process
from flows.execution.job import Job, read_job
from hfi_core.errors import UserError
from hfi_core.io.json_files import write_json
from hfi_core.params import Compute
from hfi_core.progress import no_progress

METRICS_FILE = "metrics.json"
"""The metrics, in the working folder."""
FIRST_PROCESS = "replica-0"
"""Whose progress is told: all go in step."""


def train(work: str) -> None:
    """Join the others through Accelerate, and run the unit; the first process writes its outputs and its metrics.

    Raises UserError as `read_job` and the stage do, or if there are fewer CUDA devices than processes.
    """
    from accelerate import PartialState

    order = read_job(Path(work))
    state = PartialState(cpu=order.params.compute.device == "cpu")
    params = order.params.model_copy(update={"compute": _placed(order.params.compute, state)})
    with _places(order, state.is_main_process) as (outputs, own_work):
        state.wait_for_everyone()  # before the first one moves what the others copy
        metrics = order.unit.stage.load()(
            params, order.unit.inputs, outputs, unit=order.unit.unit, work=own_work,
            progress=order.reporter(FIRST_PROCESS) if state.is_main_process else no_progress,
        )  # fmt: skip
    if state.is_main_process:
        write_json(order.work / METRICS_FILE, metrics)
    state.destroy_process_group()


@contextmanager
def _places(order: Job, first: bool) -> Iterator[tuple[Mapping[str, Path], Path]]:
    """Outputs and working folder: the real ones for the first process, a copy that is thrown away for the others."""
    if first:
        yield order.unit.outputs, order.work
        return
    with TemporaryDirectory(prefix="hfi-replica-") as folder:
        copy = Path(folder)
        shutil.copytree(order.work, copy / "work")
        yield {name: copy / "outputs" / name for name in order.unit.outputs}, copy / "work"


def _placed(compute: Compute, state) -> Compute:
    if compute.device == "cpu":
        return compute
    import torch

    if state.num_processes > torch.cuda.device_count():
        raise UserError(
            f"{state.num_processes} processes need a CUDA device each, and there are {torch.cuda.device_count()} here."
        )
    return compute.model_copy(update={"device": f"cuda:{state.local_process_index}"})


if __name__ == "__main__":
    child_process.run_child(lambda: train(*sys.argv[1:]))
