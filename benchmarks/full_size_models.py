"""Measure seconds and memory at the size of Stable Diffusion 1.5 and SDXL on one GPU: the reference and ours.

The models have the shapes of the real ones and random weights, in bfloat16. They are loaded from a diffusers folder, as
a project loads its model. Ours learns one target with the roll-outs, batch and guidance of the presets. The reference
draws a fresh guided roll-out of 50 steps for every gradient step, stopped at one random step, at batch 1. Both are
timed after a warm-up, in one run and under the same deterministic kernels. Memory is the largest amount that torch had
allocated in a gradient step at batch 1, without VAE and text encoders, and for the reference without the third UNet
that only our target needs.
"""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from benchmarks import reference_schedule
from benchmarks.distillation_memory import GIB, bytes_of
from benchmarks.random_models import build
from benchmarks.removal_speed import CLOSED_FORM
from benchmarks.results import Figure
from flows.project.presets import load_preset as preset
from flows.runtime.device import with_local_device
from hfi_core.compute.device import configure_torch
from hfi_core.erasure import closed_form
from hfi_core.erasure.methods import distillation_settings, make_rollouts
from hfi_core.erasure.targets import DistillationTarget, frozen_target
from hfi_core.erasure.trainer import distill
from hfi_core.erasure.words import WORDS
from hfi_core.inversion.textual_inversion import InversionSettings, TrainingExamples, invert_token, make_start_vectors
from hfi_core.models.diffusion.loading import enable_checkpointing, load_base_model
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import SDD, Params, Source

PRESETS = {"SD 1.5": "sd15", "SDXL": "sdxl"}
AT_ONCE = (1, 2, 8, 32)
PROMPT, ANCHOR = "aaab aaac", "aaad aaae"
REFERENCE_STEPS = {"SD 1.5": 24, "SDXL": 12}
INVERSION_STEPS = 20
ROW = "sdd-token"
"""The removal in the presets whose settings are used."""
COMPUTE = {"dtype": "bfloat16", "checkpointing": False}
"""What differs from the presets. Memory is measured with checkpointing, too."""

Result = TypeVar("Result")


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Do some work, and return its result and its seconds, the GPU's included."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    torch.cuda.synchronize()
    return result, time.perf_counter() - started


def _timed_warm(work: Callable[[int], object], first: int, count: int) -> float:
    """Time `work(count)`, after `work(first)` as a warm-up."""
    work(first)
    return _timed(lambda: work(count))[1]


def _most_memory(model: TextToImage, work: Callable[[], object], *not_counted: torch.nn.Module) -> float:
    """Measure the most GiB that some work takes, without VAE, text encoders and what else is not counted."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    work()
    others = [network for name, network in model.networks.items() if name != "unet"]
    without = bytes_of(p for network in [*others, *not_counted] for p in network.parameters())
    return (torch.cuda.max_memory_allocated() - without) / GIB


def measure() -> dict[str, Figure]:
    """Measure each shape, and print each figure at once."""
    figures: dict[str, Figure] = {}
    for shape, name in PRESETS.items():
        params = with_local_device(preset(name))
        params = params.model_copy(update={"compute": params.compute.model_copy(update=COMPUTE)})
        configure_torch(params.compute)
        with tempfile.TemporaryDirectory() as folder:
            for key, figure in _shape(shape, params, Path(folder)):
                figures[f"{shape}: {key}"] = figure
                print(f"  {shape}: {key}: {figure.value:.3f}", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    return figures


def _shape(shape: str, params: Params, folder: Path) -> Iterator[tuple[str, Figure]]:
    build(shape, folder, params.compute.device, torch.bfloat16)
    digest, seconds = _timed(lambda: digest_of_weights(folder))
    yield "digest of the folder, seconds", Figure(seconds)
    source = Source(source=str(folder), revision=None, digest=digest)
    model, seconds = _timed(lambda: load_base_model(source, params.compute))
    yield "loading, the digest checked, seconds", Figure(seconds)
    yield "UNet's parameters, millions", Figure(sum(p.numel() for p in model.unet.parameters()) / 1e6)
    yield from _passes(model)
    yield from _pictures(model, params)
    yield from _inversion(model, params)
    yield from _closed_form(model, params)
    yield from _learning(shape, model, params)
    yield from _memory_of_a_step(model, params)


def _passes(model: TextToImage) -> Iterator[tuple[str, Figure]]:
    condition = model.encode([PROMPT])
    for count in AT_ONCE:
        repeats = max(4, 64 // count)
        seconds = _timed_warm(partial(_predict, model, condition.expand(count, -1, -1)), 2, repeats)
        yield f"a pass, {count} at once, ms each", Figure(1000 * seconds / repeats / count)


@torch.no_grad()
def _predict(model: TextToImage, condition: torch.Tensor, times: int) -> None:
    x_t = torch.randn((len(condition), *model.latent_shape), device=model.device)
    t = torch.full((len(condition),), 500, device=model.device)
    for _ in range(times):
        model.predict(x_t, t, condition)


def _pictures(model: TextToImage, params: Params) -> Iterator[tuple[str, Figure]]:
    block = params.compute.block

    def draw(count: int) -> None:
        list(draw_pictures(model, [SampleRequest(PROMPT, seed) for seed in range(count)], params.sampler, block=block))

    seconds = _timed_warm(draw, block, 2 * block) / (2 * block)
    yield f"a picture of {params.sampler.steps} guided steps, {block} at once, seconds", Figure(seconds)


def _inversion(model: TextToImage, params: Params) -> Iterator[tuple[str, Figure]]:
    latents = torch.randn(16, *model.latent_shape)
    examples = TrainingExamples(latents, [PROMPT] * len(latents), torch.ones(len(latents)))
    start = make_start_vectors(model, "aaab", params.invert.vectors, 0)

    def learn(steps: int) -> None:
        invert_token(
            model, examples, "aaac", "<x>", start, InversionSettings.of(params.invert, steps=steps), key=(0,),
        )  # fmt: skip

    seconds = _timed_warm(learn, 2, INVERSION_STEPS) / INVERSION_STEPS
    yield f"inversion, a step of {params.invert.batch}, seconds", Figure(seconds)


def _target(model: TextToImage) -> DistillationTarget:
    with torch.no_grad():
        return DistillationTarget("concept", model.encode([PROMPT]), ((1.0, model.encode([ANCHOR])),))


def _closed_form(model: TextToImage, params: Params) -> Iterator[tuple[str, Figure]]:
    def solve(times: int) -> None:
        for _ in range(times):
            closed_form.solve(model, [_target(model)], model.text.words(WORDS), CLOSED_FORM, params.compute.block)

    yield "removal in closed form, seconds", Figure(_timed_warm(solve, 1, 1))


def _learn(model: TextToImage, params: Params, **changed: int) -> None:
    """Train on our schedule under the preset's settings for SDD, some of them changed."""
    spec = params.removals[ROW].model_copy(update=changed)
    rollouts = make_rollouts(model, [_target(model)], spec, params, ("benchmark",))
    distill(model, rollouts, frozen_target(model), distillation_settings(spec), start=model.cross_attention())


def _reference(model: TextToImage, steps: int, spec: SDD) -> None:
    target = _target(model)
    ((_, anchors),) = target.anchors
    reference_schedule.train(
        model, target.conditions, anchors, steps=steps, rate=spec.rate, ema=spec.ema,
        guidance=spec.guidance, after_step=lambda step, teacher: False,
    )  # fmt: skip


def _learning(shape: str, model: TextToImage, params: Params) -> Iterator[tuple[str, Figure]]:
    def learn(steps: int) -> None:
        _learn(model, params, steps=steps, reuse=steps)

    spec = params.removals[ROW]
    ours = _timed_warm(learn, 2, spec.reuse) / spec.reuse
    steps = REFERENCE_STEPS[shape]
    theirs = _timed_warm(lambda steps: _reference(model, steps, spec), 2, steps) / steps
    yield f"ours, a gradient step of {spec.batch} latents, roll-outs included, seconds", Figure(ours)
    yield "reference, a gradient step of 1 latent, seconds", Figure(theirs, n=steps)
    yield "reference over ours, a step", Figure(theirs / ours)
    yield "reference over ours, a latent", Figure(theirs / ours * spec.batch)


def _memory_of_a_step(model: TextToImage, params: Params) -> Iterator[tuple[str, Figure]]:
    def learn() -> None:
        _learn(model, params, steps=2, batch=1, rollouts=1, rollout_steps=2, reuse=1)

    reference = _most_memory(model, lambda: _reference(model, 2, params.removals[ROW]), model.unet)
    plain = _most_memory(model, learn)
    enable_checkpointing(model.unet)
    ours = _most_memory(model, learn)
    yield "memory of a step, reference, GiB", Figure(reference)
    yield "memory of a step, ours without checkpointing, GiB", Figure(plain)
    yield "memory of a step, ours, GiB", Figure(ours)
    yield "memory of a step, ours over reference", Figure(ours / reference)
