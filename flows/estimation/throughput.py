"""Passes through the UNet per second: recorded by earlier runs, or measured now."""

import time
from dataclasses import dataclass

from flows.execution.cost import measure_cost, rate_conditions, read_costs
from hfi_core.params import Params
from hfi_core.params.workload import Workload
from hfi_core.pipeline.layout import COST

BACKWARD = 2
"""Passes forward that a pass backward costs, where it was not measured: Kaplan et al. 2020 (arXiv 2001.08361), 2.1."""
_MEASURED_SECONDS = 2.0
_LEAST_TIMES = 3


@dataclass(frozen=True)
class Rate:
    """Seconds a pass, the memory that came with it, and where both are from."""

    forward: float
    gradient: float
    peak_memory: int
    """Bytes of this machine's memory."""
    peak_device_memory: int
    """Bytes on the CUDA device; 0 without one."""
    told: str

    def seconds(self, work: Workload) -> float:
        """Seconds for the UNet's part of some work."""
        return work.forward * self.forward + work.gradient * self.gradient


def read_rate(params: Params) -> Rate | None:
    """The rate of this project's earlier units on the device that params name; None where none was recorded.

    Raises UserError if `reports/cost.json` is torn.
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
        f"{COST}: {len(rows)} units run here, the last on {last[:10]}; everything but the UNet included; "
        f"a pass backward taken as {BACKWARD} forward (Kaplan et al. 2020, 2.1)",
    )


def measure_rate(params: Params) -> Rate:
    """Load the model, and time passes of one block, without gradient and with it, for a few seconds.

    Raises UserError if model or device are not there.
    """
    import torch

    from hfi_core.compute.device import configure
    from hfi_core.models.diffusion.loading import load_model

    block = params.compute.block
    with measure_cost() as spent:
        configure(params.compute)
        model = load_model(params.model, params.compute)
        x_t = torch.zeros((block, *model.latent_shape), device=model.device)
        t = torch.full((block,), len(model.schedule.alpha_bar) // 2, device=model.device)
        condition = model.encode([""]).expand(block, -1, -1)
        learnt = {name: value.float().requires_grad_() for name, value in model.cross_attention().items()}

        def forward() -> None:
            with torch.no_grad():
                model.predict(x_t, t, condition)

        def gradient() -> None:
            model.predict(x_t, t, condition, learnt).square().mean().backward()

        times = [_fastest(call, model.device) / block for call in (forward, gradient)]
    return Rate(
        *times,
        spent.peak_memory,
        spent.peak_device_memory,
        f"measured now, the fastest of some blocks of {block} through the UNet on {params.compute.device} in "
        f"{params.compute.dtype}; "
        "text encoder, VAE, CLIP and judge come on top",
    )


def _fastest(call, device) -> float:
    """Seconds of the fastest call: what else the machine does then counts least, and the first chooses kernels."""
    import torch

    times: list[float] = []
    while len(times) < _LEAST_TIMES or sum(times) < _MEASURED_SECONDS:
        began = time.monotonic()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.monotonic() - began)
    return min(times)
