"""Measure what each unit cost, and keep it in `reports/cost.json`.

That file is not in the graph, because no two runs cost the same.
"""

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
from hfi_core.errors import UserError, first_line
from hfi_core.io.json_files import write_json
from hfi_core.params import Params
from hfi_core.params.workload import Workload
from hfi_core.pipeline.layout import COST

_RESET_PEAK = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """Seconds and peak memory of one unit, filled when its block ends."""

    started: datetime
    seconds: float = 0.0
    peak_memory: int = 0
    """Bytes of this process; on Linux without the units before."""
    peak_device_memory: int = 0
    """Bytes that torch allocated on a CUDA device."""


@contextmanager
def measure_cost() -> Iterator[Cost]:
    """Measure a block; the yielded cost is complete after the block has ended without an error."""
    cost = Cost(datetime.now(UTC))
    start = time.monotonic()
    _reset_peaks()
    yield cost
    cost.seconds = time.monotonic() - start
    cost.peak_memory, cost.peak_device_memory = _peak_memory(), _peak_device_memory()


def read_costs() -> list[dict[str, Any]]:
    """Return the rows of `reports/cost.json`; none if there is no such file.

    Raises UserError if it is damaged.
    """
    if not COST.exists():
        return []
    try:
        rows = json.loads(COST.read_text(encoding="utf-8"))["runs"]
        if all(isinstance(row, dict) for row in rows):
            return rows
        problem = "its rows are not objects"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = str(error)
    raise UserError(f"{COST} cannot be read ({problem}). To fix this: remove it; no stage reads it.")


def try_append_cost(address: str, cost: Cost, device: str, unet: dict[str, object] | None = None) -> None:
    """Add a row as `append_cost` does; if the file cannot be written, only warn: the unit has just run."""
    try:
        append_cost(address, cost, device, unet)
    except (OSError, UserError) as error:
        warn(f"The cost of {address} could not be recorded in {COST}. No result is lost. {first_line(error)}")


def append_cost(address: str, cost: Cost, device: str, unet: dict[str, object] | None = None) -> None:
    """Add a row to `reports/cost.json` with the cost of a unit on a device.

    `unet` is the result of `describe_unet_work`. A damaged file is renamed, with a warning.
    """
    try:
        earlier = read_costs()
    except UserError as error:  # the unit has just run; records of cost must not fail it
        damaged = COST.with_name(f"{COST.name}.damaged")
        COST.replace(damaged)
        warn(f"{error} It was moved to {damaged}, and {COST} starts again.")
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
        _RESET_PEAK.write_text("5")
    if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_memory() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _peak_device_memory() -> int:
    torch = sys.modules.get("torch")
    return torch.cuda.max_memory_allocated() if torch and torch.cuda.is_available() else 0


def describe_unet_work(params: Params, work: Workload) -> dict[str, object] | None:
    """Return the UNet's work for a row of `reports/cost.json`, from which `hfi plan` computes rates."""
    if not work.forward + work.gradient:
        return None
    return {"forward": work.forward, "gradient": work.gradient, "compute": rate_conditions(params)}


def rate_conditions(params: Params) -> dict[str, object]:
    """Return the model and the settings that a rate is valid for."""
    compute = params.compute
    return {"model": params.model.digest, "device": compute.device, "dtype": compute.dtype, "threads": compute.threads}
