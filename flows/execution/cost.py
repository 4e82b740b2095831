"""What each unit cost, in `reports/cost.json`: outside the graph, since no two runs cost the same."""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.runtime.console import warn
from hfi_core.errors import UserError
from hfi_core.io.json_files import write_json
from hfi_core.params import Params
from hfi_core.params.workload import Workload
from hfi_core.pipeline.layout import COST

_HIGH_WATER = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """Seconds and peak memory of one unit; filled when its block ends."""

    started: datetime
    seconds: float = 0.0
    peak_memory: int = 0
    """Bytes: this process, its own units before it left out where the system can tell (Linux)."""
    peak_device_memory: int = 0
    """Bytes that torch allocated on a CUDA device."""


@contextmanager
def measure_cost() -> Iterator[Cost]:
    """Measure a block; what it yields is complete once the block has ended without an error."""
    cost = Cost(datetime.now(UTC))
    began = time.monotonic()
    _reset_peaks()
    yield cost
    cost.seconds = time.monotonic() - began
    cost.peak_memory, cost.peak_device_memory = _peak(), _device_peak()


def read_costs() -> list[dict[str, Any]]:
    """The rows of `reports/cost.json`; none where it is not there.

    Raises UserError if it is damaged.
    """
    if not COST.exists():
        return []
    try:
        rows = json.loads(COST.read_text(encoding="utf-8"))["runs"]
        if all(isinstance(row, dict) for row in rows):
            return rows
        problem = "its rows are no objects"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = str(error)
    raise UserError(f"{COST} cannot be read ({problem}); remove it, it is no stage's input.")


def append_cost(address: str, cost: Cost, device: str, unet: dict[str, object] | None = None) -> None:
    """Add a row to `reports/cost.json`: what a unit cost on a device.

    `unet` is the work that its time was spent on (`record`). A damaged file is set aside, with a warning.
    """
    try:
        earlier = read_costs()
    except UserError as error:  # figures for plans are not worth a unit that has just run
        aside = COST.with_name(f"{COST.name}.damaged")
        COST.replace(aside)
        warn(f"{error} It was moved to {aside}, and {COST} begins anew.")
        earlier = []
    rows = [
        *earlier,
        {
            "unit": address,
            "device": device,
            "started": cost.started.isoformat(timespec="seconds"),
            "seconds": round(cost.seconds, 3),
            "peak_memory_bytes": cost.peak_memory,
            "peak_device_memory_bytes": cost.peak_device_memory,
            **({"unet": unet} if unet else {}),
        },
    ]
    write_json(COST, {"schema": 1, "runs": rows})


def _reset_peaks() -> None:
    with suppress(OSError):  # only Linux has it, and some containers forbid it
        _HIGH_WATER.write_text("5")
    if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _device_peak() -> int:
    torch = sys.modules.get("torch")
    return torch.cuda.max_memory_allocated() if torch and torch.cuda.is_available() else 0


def describe_unet_work(params: Params, work: Workload) -> dict[str, object] | None:
    """What a row of `reports/cost.json` says of the UNet's work, from which later plans learn."""
    if not work.forward + work.gradient:
        return None
    return {"forward": work.forward, "gradient": work.gradient, "compute": rate_conditions(params)}


def rate_conditions(params: Params) -> dict[str, object]:
    """What a rate holds for: another model or device has another."""
    compute = params.compute
    return {"model": params.model.digest, "device": compute.device, "dtype": compute.dtype, "threads": compute.threads}
