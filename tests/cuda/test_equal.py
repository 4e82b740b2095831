"""What is equal on a GPU: two runs, a run that was stopped and one that was not, and nearly what a processor gives."""

import numpy as np
import pytest
import torch

from hfi_core.candidates.manifest import read_manifest, read_pictures
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings
from hfi_core.erasure.targets import DistillationTarget, frozen_target
from hfi_core.erasure.trainer import DistillationSettings, distill
from hfi_core.inversion.textual_inversion import InversionSettings, TrainingExamples, invert_token, make_start_vectors
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.params import Sampler
from tests.support.loop import bytes_below, run_through
from tests.support.projects import write_project
from tests.support.stopped import Stopped, stop_at

DTYPES = ("float32", "bfloat16", "float16")


@pytest.fixture(params=DTYPES)
def model(on_cuda, request):
    on_cuda.edit(compute__dtype=request.param)
    configure_torch(on_cuda.params.compute)
    return load_base_model(on_cuda.params.model, on_cuda.params.compute)


def test_an_inversion_that_was_stopped_ends_in_the_same_bits(model, tmp_path):
    latents = torch.randn(16, *model.latent_shape, generator=torch_generator("latents"))
    examples = TrainingExamples(latents, ["a red badge"] * 16, torch.ones(16))
    start = make_start_vectors(model, "badge", 2, 0)

    def run(**options):
        return invert_token(
            model, examples, "badge", "<x>", start, InversionSettings(60, 16, 0.02, 0.7), key=(0,), **options
        )

    whole, losses = run()
    with pytest.raises(Stopped):
        run(work=tmp_path, observe=stop_at(55))
    assert (tmp_path / "inversion.safetensors").exists()
    resumed, resumed_losses = run(work=tmp_path)
    assert torch.equal(whole, resumed)
    assert torch.equal(losses, resumed_losses)
    assert not torch.equal(whole, start.cpu())


def test_a_removal_that_was_stopped_ends_in_the_same_bits(model, tmp_path):
    with torch.no_grad():
        conditions, anchors = model.encode(["a red badge", "a blue badge"]), model.encode(["a red kite", "a blue kite"])
    settings = DistillationSettings(steps=24, rate=1e-3, ema=0.9)
    sampler = Sampler(scheduler="ddim", steps=5, guidance=3)
    sampling = RolloutSettings(batch=8, sampler=sampler, rollouts=4, reuse=4, concentration=3)
    targets = [DistillationTarget("badge", conditions, ((1.0, anchors),))]

    def run(**options):
        rollouts = RollOuts(model, targets, sampling, ("test",))
        return distill(model, rollouts, frozen_target(model), settings, start=model.cross_attention(), **options)

    whole, losses = run()
    with pytest.raises(Stopped):
        run(work=tmp_path, observe=stop_at(22))
    assert (tmp_path / "distillation.safetensors").exists()
    resumed, resumed_losses = run(work=tmp_path)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert torch.equal(losses, resumed_losses)
    assert losses[-4:].mean() < losses[:4].mean()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_whole_loop_gives_the_same_bytes_again(miniature, tmp_path, dtype):
    parts = ("candidates", "tokens", "models", "attacks", "evaluation", "release")
    found = []
    for name in ("first", "second"):
        project = write_project(tmp_path / name, miniature)
        project.edit(compute__device="cuda", compute__dtype=dtype)
        run_through(project)
        found.append(bytes_below(*(project.folder / part for part in parts), named_from=project.folder))
    assert len(found[0]) > 50
    assert found[0] == found[1]


@pytest.mark.parametrize(("dtype", "most"), [("float32", 0.05), ("bfloat16", 8.0), ("float16", 2.0)])
def test_a_gpu_draws_nearly_what_a_processor_draws(miniature, tmp_path, dtype, most):
    """`most` levels of 255 between them, on average."""
    drawn = []
    for name, compute in (("cpu", {"dtype": "float32"}), ("cuda", {"dtype": dtype})):
        project = write_project(tmp_path / name, miniature)
        project.edit(compute=project.params.compute.model_dump() | compute | {"device": name})
        run_through(project, until="generate")
        folder = project.folder / "candidates" / "badge"
        drawn.append(read_pictures(folder, read_manifest(folder)).astype(float))
    assert np.abs(drawn[0] - drawn[1]).mean() < most
