"""One shard of a unit, in a process of its own, which `flows.execution.shards` starts with WORK PART INDEX COUNT."""

import sys
from pathlib import Path

from flows.execution import child_process
from flows.execution.job import read_job
from hfi_core.params import Compute, Params
from hfi_core.pipeline.stage import Shard


def compute_shard(work: str, part: str, index: str, count: str) -> None:
    """Compute what a shard lacks of one of a stage's parts.

    Raises UserError as `read_job` and the stage do.
    """
    order, shard = read_job(Path(work)), Shard(int(index), int(count))
    params = order.params.model_copy(update={"compute": _placed(order.params, shard.index)})
    order.unit.stage.load_shards()[int(part)](
        params, order.unit.inputs, order.work, unit=order.unit.unit, shard=shard,
        progress=order.reporter(shard_name(int(part), shard)),
    )  # fmt: skip


def shard_name(part: int, shard: Shard) -> str:
    """What files of a shard are called."""
    return f"part-{part}-shard-{shard.index}-of-{shard.count}"


def _placed(params: Params, index: int) -> Compute:
    """`cuda` is any device: shards on one machine take its devices in turn; Ray shows each shard one of its own."""
    if params.compute.device != "cuda":
        return params.compute
    import torch

    devices = max(torch.cuda.device_count(), 1)
    return params.compute.model_copy(update={"device": f"cuda:{index % devices}"})


if __name__ == "__main__":
    child_process.run_child(lambda: compute_shard(*sys.argv[1:]))
