"""Measure pictures per second by block size: the embedded model with the project's sampler, the best of three runs."""

import time

from benchmarks import machine
from benchmarks.results import Figure
from hfi_core.compute.device import configure_torch
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures

BLOCKS = (1, 4, 16, 32, 64)
PICTURES = 128
REPEATS = 3


def measure() -> dict[str, Figure]:
    """Draw with each block size."""
    params = machine.project_params()
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    figures = {}
    for block in BLOCKS:
        count = max(block, PICTURES if block > 1 else PICTURES // 8)
        requests = [SampleRequest("a red badge", seed) for seed in range(count)]
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            for _ in draw_pictures(model, requests, params.sampler, block=block):
                pass
            seconds.append(time.perf_counter() - started)
        figures[f"block {block} pictures per second"] = Figure(count / min(seconds))
    return figures
