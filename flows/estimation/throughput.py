"""Determine the time of a UNet pass: from the recorded cost of earlier units, or by measuring now."""

import time
from dataclasses import dataclass

from flows.execution.cost import measure_cost, rate_conditions, read_costs
from hfi_core.params import Params
from hfi_core.params.workload import Workload
from hfi_core.pipeline.layout import COST

BACKWARD = 2
"""Cost of a backward pass in forward passes, where it was not measured: Kaplan et al. 2020 (arXiv 2001.08361), 2.1."""
_MIN_SECONDS = 2.0
_MIN_CALLS = 3


@dataclass(frozen=True)
class Rate:
    """Time of a UNet pass, the memory that the process needed, and the source of both."""

    forward: float
    """Seconds of a forward pass."""
    gradient: float
    """Seconds of a forward and a backward pass."""
    peak_memory: int
    """Bytes of this machine's memory."""
    peak_device_memory: int
    """Bytes on the CUDA device; 0 without one."""
    source: str

    def seconds(self, work: Workload) -> float:
        """Return the seconds that the UNet needs for a workload."""
        return work.forward * self.forward + work.gradient * self.gradient


def read_rate(params: Params) -> Rate | None:
    """Return the rate of this project's earlier units on the device in params, or None if none was recorded.

    Raises UserError if `reports/cost.json` is damaged.
    """
    rows = [row for row in read_costs() if row.get("unet") and row["unet"]["compute"] == rate_conditions(params)]
    passes = sum(row["unet"]["forward"] + (1 + BACKWARD) * row["unet"]["gradient"] for row in rows)
    if passes == 0:
        return None
    forward = sum(row["seconds"] for row in rows) / passes
    last = max(row["started"] for row in rows)
    return Rate(
        forward,
        (1 + BACKWARD) * forward,
        max(row["peak_memory_bytes"] for row in rows),
        max(row["peak_device_memory_bytes"] for row in rows),
        f"{COST}: {len(rows)} units that ran on this machine, the last on {last[:10]}, including work outside the "
        f"UNet; a backward pass counts as {BACKWARD} forward passes (Kaplan et al. 2020, 2.1)",
    )


def measure_rate(params: Params) -> Rate:
    """Load the model, and time passes of one block with and without gradient, for a few seconds.

    Raises UserError if the model or the device is missing.
    """
    import torch

    from hfi_core.compute.device import configure_torch
    from hfi_core.models.diffusion.loading import load_base_model

    block = params.compute.block
    with measure_cost() as spent:
        configure_torch(params.compute)
        model = load_base_model(params.model, params.compute)
        x_t = torch.zeros((block, *model.latent_shape), device=model.device)
        t = torch.full((block,), len(model.schedule.alpha_bar) // 2, device=model.device)
        condition = model.encode([""]).expand(block, -1, -1)
        weights = {name: value.float().requires_grad_() for name, value in model.cross_attention().items()}

        def forward() -> None:
            with torch.no_grad():
                model.predict(x_t, t, condition)

        def gradient() -> None:
            model.predict(x_t, t, condition, weights).square().mean().backward()

        forward_seconds = _fastest(forward, model.device) / block
        gradient_seconds = _fastest(gradient, model.device) / block
    return Rate(
        forward_seconds,
        gradient_seconds,
        spent.peak_memory,
        spent.peak_device_memory,
        f"measured now, the fastest of some blocks of {block} through the UNet on {params.compute.device} in "
        f"{params.compute.dtype}; "
        "text encoder, VAE, CLIP and judge come on top",
    )


def _fastest(call, device) -> float:
    """Return the seconds of the fastest call: it suffers least from other load, and the first call chooses kernels."""
    import torch

    times: list[float] = []
    while len(times) < _MIN_CALLS or sum(times) < _MIN_SECONDS:
        start = time.monotonic()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.monotonic() - start)
    return min(times)
