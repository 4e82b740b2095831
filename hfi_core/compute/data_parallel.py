"""Processes that learn the same parameters together, each from its rows of the joint batch (data parallelism).

Whoever runs a stage may have joined processes into torch's default process group, as Accelerate's `PartialState` does.
A process by itself is the plain case, in which every method gives back what it was given, to the bit.
"""

from dataclasses import dataclass

import torch
from torch import distributed

from hfi_core.errors import UserError


@dataclass(frozen=True)
class DataParallelGroup:
    """This process's place among those that learn together."""

    index: int = 0
    count: int = 1

    def rows(self, joint: int) -> slice:
        """This process's rows of `joint` ones; the processes' shares differ by one row at most."""
        return slice(joint * self.index // self.count, joint * (self.index + 1) // self.count)

    def weight(self, joint: int) -> float:
        """What the mean over this process's rows is multiplied by, so that processes average to the joint mean."""
        mine = self.rows(joint)
        return (mine.stop - mine.start) * self.count / joint

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean over the processes, of any shape; equal in all of them."""
        if self.count == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.count

    def gathered(self, part: torch.Tensor, joint: int) -> torch.Tensor:
        """All `joint` rows (joint, ...), of which `part` is this process's."""
        if self.count == 1:
            return part
        every = part.new_zeros((joint, *part.shape[1:]))
        every[self.rows(joint)] = part
        distributed.all_reduce(every)
        return every

    def agreed(self, value: torch.Tensor) -> torch.Tensor:
        """The first process's value, where kernels may have rounded each one's differently."""
        if self.count > 1:
            distributed.broadcast(value, src=0)
        return value

    def require_rows(self, **joint: int) -> None:
        """Raise UserError, with its name, for a number of rows that leaves a process without any."""
        for name, number in joint.items():
            if number < self.count:
                raise UserError(
                    f"{self.count} processes cannot share {name} {number}: each needs one. Take fewer processes, or "
                    f"raise {name} of the removal."
                )


def current_group() -> DataParallelGroup:
    """The processes that the caller has joined to this one; by default none."""
    if distributed.is_available() and distributed.is_initialized():
        return DataParallelGroup(distributed.get_rank(), distributed.get_world_size())
    return DataParallelGroup()
