"""Pictures per second by block size, the embedded model with the project's sampler."""

import time

from benchmarks import machine
from hfi_core.compute.device import configure_torch
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures

BLOCKS = (1, 4, 16, 32, 64)
PICTURES = 128
REPEATS = 3


def main() -> dict[str, float]:
    """Measure each block size, the best of three."""
    params = machine.params()
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
        figures[f"block_{block}_pictures_per_second"] = count / min(seconds)
        print(f"block {block:3}: {count / min(seconds):6.1f} pictures a second", flush=True)
    return figures


if __name__ == "__main__":
    main()
