"""Options of a run for several processes and machines. They are not in params: they belong to the run."""

import re
from dataclasses import dataclass

from hfi_core.errors import UserError

LOCAL_RAY = "local"
"""Address that starts Ray on this machine for the run."""
RAY_ADDRESS = rf"^({LOCAL_RAY}|auto|(ray://)?[A-Za-z0-9_.-]+:[0-9]+)$"
"""Valid addresses of Ray."""
MAX_PROCESSES = 1024
"""Largest number of shards, and of processes."""


@dataclass(frozen=True)
class Parallelism:
    """How the units of a run are distributed; by default this process computes each of them."""

    shards: int = 1
    """Processes that share the blocks of a stage that can be split; the number changes no byte."""
    ray: str | None = None
    """Address of the Ray cluster that runs the shards: `local`, `auto`, `HOST:PORT` or `ray://HOST:PORT`; None: this
    machine runs them."""
    processes: int = 1
    """Processes that learn one removal together; the number changes the result within rounding."""

    @property
    def uses_shards(self) -> bool:
        """Whether a stage that can be split runs in shards."""
        return self.shards > 1 or self.ray is not None


ONE_PROCESS = Parallelism()


def require_ray_address(ray: str | None) -> None:
    """Raise UserError if a string is not an address of Ray."""
    if ray is not None and not re.fullmatch(RAY_ADDRESS, ray):
        raise UserError(
            f"--ray {ray!r} is not a valid Ray address: write HOST:PORT, ray://HOST:PORT, `auto` or `{LOCAL_RAY}`."
        )
