"""Seconds and memory at the size of Stable Diffusion 1.5 and SDXL on one GPU: the reference schedule against ours.

The models have the real ones' shapes and random weights, in bfloat16, and come from a diffusers folder through the
project's own loading. One lesson is learnt with the roll-outs, batch and guidance of the presets; the reference draws a
fresh guided 50-step roll-out for every gradient step, stopped at one random step, at batch 1. Both are timed after a
warm-up, in one run and under the same deterministic kernels. Memory is the most that torch had allocated in a gradient
step at batch 1, VAE and text encoders not counted, nor, for the reference, the third UNet that only our target needs.
"""

import gc
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import reference_schedule
from benchmarks.shapes import build
from flows.device import here
from flows.presets import params as preset
from hfi_core.diffusion.checkpointing import keep_only_block_inputs
from hfi_core.diffusion.compute import prepare
from hfi_core.diffusion.loading import load_model
from hfi_core.diffusion.model import TextToImage
from hfi_core.diffusion.sampling import Request, sample
from hfi_core.erasure import closed_form
from hfi_core.erasure.anchored import frozen_anchor
from hfi_core.erasure.methods import settings_of
from hfi_core.erasure.trainer import Lesson, Settings, distill
from hfi_core.inversion import Examples, invert, start_vectors
from hfi_core.params import ClosedForm, Params, Source
from hfi_core.sources import digest_of

GIB = 2**30
PRESETS = {"SD 1.5": "sd15", "SDXL": "sdxl"}
AT_ONCE = (1, 2, 8, 32)
PROMPT, ANCHOR = "aaab aaac", "aaad aaae"
CLOSED_FORM = ClosedForm(method="closed_form", contrast=1.0, hold=1.0, ridge=0.01)
REFERENCE_STEPS = {"SD 1.5": 24, "SDXL": 12}
INVERSION_STEPS = 20
COMPUTE = {"dtype": "bfloat16", "checkpointing": False}
"""What differs from the presets; memory is measured with checkpointing, too."""


class _Reading:
    """What a block took, once it has ended."""

    value = 0.0


@contextmanager
def _seconds() -> Iterator[_Reading]:
    """Seconds of a block, the GPU's work included."""
    reading = _Reading()
    torch.cuda.synchronize()
    started = time.perf_counter()
    yield reading
    torch.cuda.synchronize()
    reading.value = time.perf_counter() - started


def _bytes(*networks: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for network in networks for p in network.parameters())


@contextmanager
def _memory(model: TextToImage, *not_counted: torch.nn.Module) -> Iterator[_Reading]:
    """GiB that a block takes at most beside VAE, text encoders and what else is not counted."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    reading = _Reading()
    yield reading
    others = [network for name, network in model.networks.items() if name != "unet"]
    reading.value = (torch.cuda.max_memory_allocated() - _bytes(*others, *not_counted)) / GIB


def main() -> dict[str, float]:
    """Measure each shape and print as it goes."""
    figures: dict[str, float] = {}
    for shape, name in PRESETS.items():
        params = here(preset(name))
        params = params.model_copy(update={"compute": params.compute.model_copy(update=COMPUTE)})
        prepare(params.compute)
        with tempfile.TemporaryDirectory() as folder:
            for key, value in _shape(shape, params, Path(folder)):
                figures[f"{shape}: {key}"] = value
                print(f"{shape + ': ' + key:64} {value:.3f}", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    return figures


def _shape(shape: str, params: Params, folder: Path) -> Iterator[tuple[str, float]]:
    build(shape, folder, params.compute.device, torch.bfloat16)
    with _seconds() as taken:
        source = Source(source=str(folder), revision=None, digest=digest_of(folder))
    yield "digest of the folder, seconds", taken.value
    with _seconds() as taken:
        model = load_model(source, params.compute)
    yield "loading, the digest checked, seconds", taken.value
    yield "UNet's parameters, millions", sum(p.numel() for p in model.unet.parameters()) / 1e6
    yield from _passes(model)
    yield from _pictures(model, params)
    yield from _inversion(model, params)
    yield from _closed_form(model, params)
    settings = settings_of(params.removals["sdd-token"], params)
    yield from _learning(shape, model, settings)
    yield from _memory_of_a_step(model, settings)


def _passes(model: TextToImage) -> Iterator[tuple[str, float]]:
    condition = model.encode([PROMPT])
    for count in AT_ONCE:
        x_t = torch.randn((count, *model.latent_shape), device=model.device)
        t = torch.full((count,), 500, device=model.device)
        repeats = max(4, 64 // count)
        with torch.no_grad():
            for times in (2, repeats):
                with _seconds() as taken:
                    for _ in range(times):
                        model.predict(x_t, t, condition.expand(count, -1, -1))
        yield f"a pass, {count} at once, ms each", 1000 * taken.value / repeats / count


def _pictures(model: TextToImage, params: Params) -> Iterator[tuple[str, float]]:
    block = params.compute.block
    requests = [Request(PROMPT, seed) for seed in range(2 * block)]
    for several in (requests[:block], requests):
        with _seconds() as taken:
            list(sample(model, several, params.sampler, block=block))
    yield f"a picture of {params.sampler.steps} guided steps, {block} at once, seconds", taken.value / len(requests)


def _inversion(model: TextToImage, params: Params) -> Iterator[tuple[str, float]]:
    latents = torch.randn(16, *model.latent_shape)
    examples = Examples(latents, [PROMPT] * len(latents), torch.ones(len(latents)))
    start = start_vectors(model, "aaab", params.invert.vectors, 0)
    for steps in (2, INVERSION_STEPS):
        with _seconds() as taken:
            invert(
                model, examples, "aaac", "<x>", start, steps=steps, batch=params.invert.batch, rate=params.invert.rate,
                noisiest=params.invert.noisiest, key=(0,),
            )  # fmt: skip
    yield f"inversion, a step of {params.invert.batch}, seconds", taken.value / INVERSION_STEPS


def _lesson(model: TextToImage) -> Lesson:
    with torch.no_grad():
        return Lesson("concept", model.encode([PROMPT]), ((1.0, model.encode([ANCHOR])),))


def _closed_form(model: TextToImage, params: Params) -> Iterator[tuple[str, float]]:
    for _ in range(2):
        with _seconds() as taken:
            closed_form.solve(model, [_lesson(model)], CLOSED_FORM, params.compute.block)
    yield "removal in closed form, seconds", taken.value


def _learn(model: TextToImage, settings: Settings) -> None:
    distill(model, [_lesson(model)], frozen_anchor(model), settings, start=model.cross_attention(), key=("benchmark",))


def _reference(model: TextToImage, steps: int, settings: Settings) -> None:
    lesson = _lesson(model)
    ((_, anchors),) = lesson.anchors
    reference_schedule.train(
        model, lesson.conditions, anchors, steps=steps, rate=settings.rate, ema=settings.ema,
        guidance=settings.guidance, after_step=lambda step, teacher: False,
    )  # fmt: skip


def _learning(shape: str, model: TextToImage, settings: Settings) -> Iterator[tuple[str, float]]:
    _learn(model, replace(settings, steps=2, reuse=2))
    cycle = replace(settings, steps=settings.reuse)
    with _seconds() as ours:
        _learn(model, cycle)
    _reference(model, 2, settings)
    steps = REFERENCE_STEPS[shape]
    with _seconds() as reference:
        _reference(model, steps, settings)
    ours_a_step, theirs_a_step = ours.value / cycle.steps, reference.value / steps
    yield f"ours, a gradient step of {settings.batch} latents, roll-outs included, seconds", ours_a_step
    yield f"reference, a gradient step of 1 latent (mean of {steps}), seconds", theirs_a_step
    yield "reference over ours, a step", theirs_a_step / ours_a_step
    yield "reference over ours, a latent", theirs_a_step / ours_a_step * settings.batch


def _memory_of_a_step(model: TextToImage, settings: Settings) -> Iterator[tuple[str, float]]:
    smallest = replace(settings, steps=2, batch=1, rollouts=1, rollout_steps=2, reuse=1)
    with _memory(model, model.unet) as reference:
        _reference(model, 2, settings)
    with _memory(model) as plain:
        _learn(model, smallest)
    keep_only_block_inputs(model.unet)
    with _memory(model) as ours:
        _learn(model, smallest)
    yield "memory of a step, reference, GiB", reference.value
    yield "memory of a step, ours without checkpointing, GiB", plain.value
    yield "memory of a step, ours, GiB", ours.value
    yield "memory of a step, ours over reference", ours.value / reference.value


if __name__ == "__main__":
    main()
