"""Measure pictures per second by block size, beside diffusers' own pipeline: same folder, solver, steps and guidance.

The two draw in turn, in one process, and the best of three runs counts. A row of bfloat16 is ours with
`compute.dtype: bfloat16`, beside the pipeline's float32: it pays where the processor has units for it.
"""

import time
from collections.abc import Callable
from itertools import product

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

from benchmarks import machine
from benchmarks.results import Figure
from hfi_core.compute.device import configure_torch
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.params import Params

BLOCKS = (1, 4, 16, 32, 64)
PICTURES = 128
REPEATS = 3
PROMPT = "a red badge"


def measure() -> dict[str, Figure]:
    """Draw with each block size, by each of the three in turn."""
    params = machine.project_params()
    configure_torch(params.compute)
    ours, half = (_our_drawing(params, dtype) for dtype in ("float32", "bfloat16"))
    theirs = _pipeline_drawing(params)
    figures = {}
    for block in BLOCKS:
        count = max(block, PICTURES if block > 1 else PICTURES // 8)
        seconds: dict[str, list[float]] = {"ours": [], "diffusers": [], "ours in bfloat16": []}
        for _, (name, draw) in product(range(REPEATS), zip(seconds, (ours, theirs, half), strict=True)):
            started = time.perf_counter()
            draw(count, block)
            seconds[name].append(time.perf_counter() - started)
        best = {name: min(times) for name, times in seconds.items()}
        figures |= {f"block {block}: {name}, pictures per second": Figure(count / best[name]) for name in best}
        for name in ("ours", "ours in bfloat16"):
            figures[f"block {block}: {name} over diffusers"] = Figure(best["diffusers"] / best[name])
    return figures


def _our_drawing(params: Params, dtype: str) -> Callable[[int, int], None]:
    model = load_base_model(params.model, params.compute.model_copy(update={"dtype": dtype}))

    def draw(count: int, block: int) -> None:
        requests = [SampleRequest(PROMPT, seed) for seed in range(count)]
        for _ in draw_pictures(model, requests, params.sampler, block=block):
            pass

    return draw


def _pipeline_drawing(params: Params) -> Callable[[int, int], None]:
    folder = load_base_model(params.model, params.compute).folder
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32).to(params.compute.device)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)

    def draw(count: int, block: int) -> None:
        for start in range(0, count, block):
            generators = [torch.Generator().manual_seed(seed) for seed in range(start, start + block)]
            pipeline(
                [PROMPT] * block, generator=generators, num_inference_steps=params.sampler.steps,
                guidance_scale=params.sampler.guidance,
            )  # fmt: skip

    return draw
