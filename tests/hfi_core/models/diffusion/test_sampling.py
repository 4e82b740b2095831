"""Pictures depend on their prompt and seed, and on nothing else."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from diffusers.guiders import ClassifierFreeGuidance
from pydantic import ValidationError

from hfi_core.compute.shards import unfinished_blocks
from hfi_core.errors import UserError
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import (
    SampleRequest,
    denoise,
    draw_initial_noise,
    draw_pictures,
    make_scheduler,
    sample,
)
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Sampler, Source
from tests.support.other_model import build_other_model

BLOCK = 4


@pytest.fixture(scope="module")
def model(miniature, tmp_path_factory):
    from tests.support.projects import write_project

    params = write_project(tmp_path_factory.mktemp("sampling"), miniature).params
    return load_base_model(params.model, params.compute)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return build_other_model(tmp_path_factory.mktemp("other")) / "pipeline"


@pytest.fixture
def compute(project):
    return project.params.compute


def draw(model, requests, scheduler="dpm++", **options):
    sampler = Sampler(scheduler=scheduler, steps=3, guidance=3)
    return dict(draw_pictures(model, requests, sampler, block=BLOCK, **options))


REQUESTS = [SampleRequest(prompt, seed) for prompt in ("a red badge", "a blue kite") for seed in range(3)]


@pytest.mark.parametrize("scheduler", ["dpm++", "ddim"])
def test_order_changes_no_picture(model, scheduler):
    forwards, backwards = draw(model, REQUESTS, scheduler), draw(model, REQUESTS[::-1], scheduler)
    assert all(np.array_equal(forwards[request], backwards[request]) for request in REQUESTS)


def test_a_shard_draws_the_same_pictures(model):
    whole, shard = draw(model, REQUESTS), draw(model, REQUESTS[4:5])
    assert np.array_equal(whole[REQUESTS[4]], shard[REQUESTS[4]])


def test_seed_and_prompt_change_the_picture(model):
    pictures = list(draw(model, REQUESTS).values())
    assert len({p.tobytes() for p in pictures}) == len(pictures)


def test_guidance_of_one_needs_no_unconditional_pass_and_still_draws(model):
    plain = Sampler(scheduler="ddim", steps=2, guidance=1)
    (_, pixels), *_ = draw_pictures(model, REQUESTS[:1], plain, block=1)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("start, stop", [(0.0, 1.0), (0.2, 1.0), (0.0, 0.7), (0.25, 0.5), (0.9, 0.95)])
def test_guidance_acts_at_the_steps_at_which_it_acts_in_diffusers(model, start, stop):
    sampler = Sampler(scheduler="ddim", steps=6, guidance=3, guidance_start=start, guidance_stop=stop)
    x, condition, nothing = draw_initial_noise(model, [5]), model.encode(["a red badge"]), model.encode([""])
    *_, (drawn, _) = denoise(model, x, condition, nothing, sampler=sampler)

    guider = ClassifierFreeGuidance(3.0, start=start, stop=stop, use_original_formulation=False)
    solver = DDIMScheduler.from_config(model.scheduler_config)
    solver.set_timesteps(6)
    for step, t in enumerate(solver.timesteps):
        guider.set_state(step, 6, t)
        asked = (condition, nothing)[: guider.num_conditions]
        x = solver.step(guider.forward(*[model.predict(x, t.expand(1), c) for c in asked]).pred, t, x).prev_sample
    torch.testing.assert_close(drawn, x, atol=1e-4, rtol=1e-4)


def test_an_interval_of_guidance_without_a_step_is_refused():
    with pytest.raises(ValidationError, match="guidance_start must be smaller than guidance_stop"):
        Sampler(scheduler="ddim", steps=6, guidance=3, guidance_start=0.5, guidance_stop=0.5)


def test_our_sampler_draws_what_the_diffusers_pipeline_draws(model, miniature):
    pipe = StableDiffusionPipeline.from_pretrained(miniature / "pipeline", dtype=torch.float32, safety_checker=None)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    noise = torch.randn((1, *model.latent_shape), generator=torch.Generator().manual_seed(5))
    theirs = pipe("a red badge", latents=noise, num_inference_steps=3, guidance_scale=3, output_type="np").images[0]
    ours = draw(model, [SampleRequest("a red badge", 5)], "ddim")[SampleRequest("a red badge", 5)]
    assert np.abs(ours.astype(int) - np.round(theirs * 255)).max() <= 1


@pytest.mark.parametrize("saved_with", [DDIMScheduler, UniPCMultistepScheduler])
@pytest.mark.parametrize(
    ("scheduler", "theirs", "options"),
    [
        ("ddim", DDIMScheduler, {}),
        ("dpm++", DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    ],
)
def test_under_v_prediction_too_whatever_scheduler_the_folder_was_saved_with(
    other, compute, tmp_path, saved_with, scheduler, theirs, options
):
    folder = shutil.copytree(other, tmp_path / "pipeline")
    saved_with(num_train_timesteps=200, beta_schedule="linear", prediction_type="v_prediction").save_pretrained(
        folder / "scheduler"
    )
    pipe = StableDiffusionPipeline.from_pretrained(
        folder, scheduler=theirs.from_pretrained(folder / "scheduler", **options), dtype=torch.float32
    )
    pipe.set_progress_bar_config(disable=True)
    model = load_base_model(Source(source=str(folder), revision=None, digest=digest_of_weights(folder)), compute)
    noise = draw_initial_noise(model, [5])
    wanted = pipe("a knife", latents=noise, num_inference_steps=3, guidance_scale=3, output_type="latent").images
    *_, (drawn, _) = denoise(
        model, noise, model.encode(["a knife"]), model.encode([""]), 
        sampler=Sampler(scheduler=scheduler, steps=3, guidance=3),
    )  # fmt: skip
    torch.testing.assert_close(drawn, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++"])
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("steps", [1, 2, 25, 50, 333, 334, 499, 500, 501, 600, 999, 1000])
def test_steps_are_drawn_or_refused_by_name(model, scheduler, spacing, steps):
    config = dict(model.scheduler_config) | {"timestep_spacing": spacing, "num_train_timesteps": 1000}
    of_spacing = replace(model, scheduler_config=config)
    try:
        solver = make_scheduler(of_spacing, scheduler, steps)
    except UserError as error:
        assert steps > 50 and f"into {steps} steps" in str(error) and "sampler.steps" in str(error)
        return
    assert len(solver.timesteps) == steps
    x = torch.ones(1, 4, 2, 2)
    for t in solver.timesteps:
        x = solver.step(torch.zeros_like(x), t, x).prev_sample
    assert x.isfinite().all()


def test_more_steps_than_timesteps_are_refused(model):
    with pytest.raises(UserError, match="into 1001 steps"):
        make_scheduler(model, "ddim", 1001)


@pytest.mark.parametrize("algorithm", ["sde-dpmsolver++", "dpmsolver", "dpmsolver++"])
def test_every_base_is_drawn_by_the_same_solver(model, algorithm):
    base = replace(model, scheduler_config=dict(model.scheduler_config) | {"algorithm_type": algorithm})
    assert make_scheduler(base, "dpm++", 5).config.algorithm_type == "dpmsolver++"


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64])
def test_a_seed_that_torch_would_not_take_is_refused(model, seed):
    with pytest.raises(ValueError, match=f"seed is {seed}; "):
        sample(replace(model, sampler=Sampler(scheduler="ddim", steps=2, guidance=1)), ["a red badge"], seed=seed)


def test_what_is_not_finite_is_refused_instead_of_drawn_black(model):
    weights = {name: torch.full_like(value, torch.nan) for name, value in model.cross_attention().items()}
    with pytest.raises(
        UserError, match="The output of the UNet is not finite.*a removal changed the weights, lower its rate"
    ):
        draw(model, REQUESTS[:1], weights=weights)


def test_a_vae_that_overflows_is_named(model, monkeypatch):
    monkeypatch.setattr(
        model.vae, "decode", lambda latents: SimpleNamespace(sample=torch.full((1, 3, 8, 8), torch.inf))
    )
    with pytest.raises(UserError, match="The output of the VAE, in float32, is not finite"):
        model.decode(torch.zeros(1, *model.latent_shape))


def test_resuming_keeps_whole_blocks():
    requests = [SampleRequest("p", seed) for seed in range(10)]
    done = {0, 1, 2, 3, 5, 8, 9}
    left = unfinished_blocks(requests, BLOCK, lambda request: request.seed in done)
    assert [request.seed for request in left] == [4, 5, 6, 7]
