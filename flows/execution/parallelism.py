"""Over how many processes and machines a run is spread; a matter of this run, and never of params."""

import re
from dataclasses import dataclass

from hfi_core.errors import UserError

LOCAL_RAY = "local"
"""The address of a Ray that is started for the run, on this machine."""
RAY_ADDRESS = rf"^({LOCAL_RAY}|auto|(ray://)?[A-Za-z0-9_.-]+:[0-9]+)$"
"""Addresses of Ray."""
MAX_PROCESSES = 1024
"""Shards, and processes."""


@dataclass(frozen=True)
class Parallelism:
    """How the units of a run are spread; by default each is one process, this one."""

    shards: int = 1
    """Shares of the blocks of a stage that can be split, each a process of its own; changes no byte."""
    ray: str | None = None
    """The Ray that places the shards: `local`, `auto`, `HOST:PORT` or `ray://HOST:PORT`; None: this machine."""
    processes: int = 1
    """Processes that learn one removal together; changes the result within rounding."""

    @property
    def splits(self) -> bool:
        """Whether what can be split leaves this process."""
        return self.shards > 1 or self.ray is not None


ONE_PROCESS = Parallelism()


def require_ray_address(ray: str | None) -> None:
    """Raise UserError for what is no address of Ray."""
    if ray is not None and not re.fullmatch(RAY_ADDRESS, ray):
        raise UserError(f"--ray {ray!r} is no address of Ray: HOST:PORT, ray://HOST:PORT, `auto` or `{LOCAL_RAY}`.")
