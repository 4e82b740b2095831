"""Data parallelism: processes train the same parameters together, each on its own rows of the global batch.

The caller of a stage may have put processes into torch's default process group, as Accelerate's `PartialState` does.
A single process is the simple case: there every method returns its argument unchanged, bit for bit.
"""

from dataclasses import dataclass

import torch
from torch import distributed

from hfi_core.errors import UserError


@dataclass(frozen=True)
class DataParallelGroup:
    """This process's rank, and the number of processes that train together."""

    rank: int = 0
    count: int = 1

    def rows(self, total: int) -> slice:
        """Return this process's rows of `total` rows. The shares of any two processes differ by at most one row."""
        return slice(total * self.rank // self.count, total * (self.rank + 1) // self.count)

    def weight(self, total: int) -> float:
        """Return the factor for the mean over this process's rows that makes the processes' average the global mean."""
        own = self.rows(total)
        return (own.stop - own.start) * self.count / total

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return the mean of a tensor over the processes. It is the same in all of them."""
        if self.count == 1:
            return value
        summed = value.clone()
        distributed.all_reduce(summed)
        return summed / self.count

    def gather(self, part: torch.Tensor, total: int) -> torch.Tensor:
        """Return all rows (total, ...), of which `part` holds this process's."""
        if self.count == 1:
            return part
        gathered = part.new_zeros((total, *part.shape[1:]))
        gathered[self.rows(total)] = part
        distributed.all_reduce(gathered)
        return gathered

    def broadcast(self, value: torch.Tensor) -> torch.Tensor:
        """Return the first process's value in all processes: kernels may have rounded it differently in each."""
        if self.count > 1:
            distributed.broadcast(value, src=0)
        return value

    def require_rows(self, **totals: int) -> None:
        """Raise UserError, which names the parameter, if a number of rows leaves a process without any."""
        for name, number in totals.items():
            if number < self.count:
                raise UserError(
                    f"{self.count} processes cannot share {name} {number}: each process needs at least one. To fix "
                    f"this: use fewer processes, or raise {name} of the removal."
                )


def current_group() -> DataParallelGroup:
    """Return torch's default process group, or a group of this process alone if there is none."""
    if distributed.is_available() and distributed.is_initialized():
        return DataParallelGroup(distributed.get_rank(), distributed.get_world_size())
    return DataParallelGroup()
