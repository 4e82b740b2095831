"""Compute one shard of a unit in a process of its own.

`flows.execution.shards` starts this module with WORK PART INDEX COUNT.
"""

import sys
from pathlib import Path

from flows.execution import child_process
from flows.execution.job import read_job
from hfi_core.compute.shards import Shard
from hfi_core.params import Compute


def compute_shard(work: str, part: str, index: str, count: str) -> None:
    """Compute the blocks of one part of a stage that a shard still lacks.

    Raises UserError as `read_job` and the stage do.
    """
    job, shard = read_job(Path(work)), Shard(int(index), int(count))
    params = job.params.model_copy(update={"compute": _with_own_device(job.params.compute, shard.index)})
    progress = job.progress_reporter(shard_name(int(part), shard))
    compute = job.unit.stage.load_shards()[int(part)]
    compute(job.unit.context(params, outputs={}, work=job.work, progress=progress, shard=shard))


def shard_name(part: int, shard: Shard) -> str:
    """Return the name of a shard's log and progress files."""
    return f"part-{part}-shard-{shard.index}-of-{shard.count}"


def _with_own_device(compute: Compute, index: int) -> Compute:
    """Choose a device for `cuda`: shards on one machine take its devices in turn; Ray gives each shard one."""
    if compute.device != "cuda":
        return compute
    import torch

    devices = max(torch.cuda.device_count(), 1)
    return compute.model_copy(update={"device": f"cuda:{index % devices}"})


if __name__ == "__main__":
    child_process.run_child(lambda: compute_shard(*sys.argv[1:]))
