"""Run a unit in one of several processes that learn it together.

`flows.execution.data_parallel` starts this module with WORK, the unit's working folder.
"""

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
"""File with the metrics in the working folder."""
FIRST_PROCESS = "replica-0"
"""Name of the process that reports progress, because all advance together."""


def train(work: str) -> None:
    """Join the other processes through Accelerate, and run the unit; the first one writes outputs and metrics.

    Raises UserError as `read_job` and the stage do, or if there are fewer CUDA devices than processes.
    """
    from accelerate import PartialState

    job = read_job(Path(work))
    state = PartialState(cpu=job.params.compute.device == "cpu")
    params = job.params.model_copy(update={"compute": _with_own_device(job.params.compute, state)})
    with _output_folders(job, state.is_main_process) as (outputs, own_work):
        state.wait_for_everyone()  # before the first process moves what the others copy
        progress = job.progress_reporter(FIRST_PROCESS) if state.is_main_process else no_progress
        metrics = job.unit.stage.load()(job.unit.context(params, outputs=outputs, work=own_work, progress=progress))
    if state.is_main_process:
        write_json(job.work / METRICS_FILE, metrics)
    state.destroy_process_group()


@contextmanager
def _output_folders(job: Job, is_first: bool) -> Iterator[tuple[Mapping[str, Path], Path]]:
    """Yield outputs and working folder: the real ones for the first process, temporary copies for the others."""
    if is_first:
        yield job.unit.outputs, job.work
        return
    with TemporaryDirectory(prefix="hfi-replica-") as folder:
        copy = Path(folder)
        shutil.copytree(job.work, copy / "work")
        yield {name: copy / "outputs" / name for name in job.unit.outputs}, copy / "work"


def _with_own_device(compute: Compute, state) -> Compute:
    if compute.device == "cpu":
        return compute
    import torch

    devices = torch.cuda.device_count()
    if state.num_processes > devices:
        raise UserError(f"{state.num_processes} processes need a CUDA device each, but this machine has {devices}.")
    return compute.model_copy(update={"device": f"cuda:{state.local_process_index}"})


if __name__ == "__main__":
    child_process.run_child(lambda: train(*sys.argv[1:]))
