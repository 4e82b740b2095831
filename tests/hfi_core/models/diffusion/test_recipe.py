"""Rows that train nothing draw as the papers say: against literal loops, and against diffusers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

from hfi_core.errors import UserError
from hfi_core.io.tensors import save_tensors
from hfi_core.models.diffusion.loading import load_model, load_safeguarded_model
from hfi_core.models.diffusion.recipe import RECIPE, Recipe, load_recipe, save_recipe
from hfi_core.models.diffusion.sampling import SampleRequest, draw_pictures, make_scheduler

REQUESTS = [SampleRequest("a red badge", 1), SampleRequest("a blue badge", 2)]
TOKEN = "<badge-objectionable>"


@pytest.fixture
def model(project):
    return load_model(project.params)


def ours(model, recipe: Recipe, **sampler) -> np.ndarray:
    """The pictures of the requests, drawn with a recipe in blocks of two."""
    settings = model.sampler.model_copy(update=sampler)
    drawn = draw_pictures(replace(model, recipe=recipe), REQUESTS, settings, block=2)
    return np.stack([pixels for _, pixels in drawn])


@torch.no_grad()
def literally(model, guided, *, scheduler: str, steps: int) -> np.ndarray:
    """The pictures of the requests, one at a time; `guided(eps_of, prompt, step)` gives the noise of a step."""
    pictures = []
    for request in REQUESTS:
        solver = make_scheduler(model, scheduler, steps)
        solver.config.prediction_type = "epsilon"
        x = torch.randn((1, *model.latent_shape), generator=torch.Generator().manual_seed(request.seed))
        for step, t in enumerate(solver.timesteps):
            eps_of = lambda c, x=x, t=t: model.predict(x, t.expand(1), c)  # noqa: E731
            x = solver.step(guided(eps_of, request, step), t, x).prev_sample
        pictures.append(model.decode(x)[0])
    return np.stack(pictures)


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


@pytest.mark.parametrize("scheduler", ["dpm++", "ddim"])
@pytest.mark.parametrize("under", ["text", "token"])
def test_the_negative_prompt_takes_the_place_of_the_empty_one(model, scheduler, under):
    tokens = {TOKEN: torch.randn(2, sum(model.text.widths), generator=torch.Generator().manual_seed(5))}
    recipe = Recipe("star", {}) if under == "text" else Recipe(TOKEN, tokens)
    negative = model.encode([recipe.prompt], tokens if under == "token" else {})

    def guided(eps_of, request, _):
        eps_n, eps_c = eps_of(negative), eps_of(model.encode([request.prompt]))
        return eps_n + 3.0 * (eps_c - eps_n)

    drawn = ours(model, recipe, scheduler=scheduler, steps=6, guidance=3.0)
    assert_same(drawn, literally(model, guided, scheduler=scheduler, steps=6))
    assert not np.array_equal(drawn, ours(model, None, scheduler=scheduler, steps=6, guidance=3.0))


def test_diffusers_draws_the_same_with_this_negative_prompt(model, project):
    pipe = StableDiffusionPipeline.from_pretrained(project.params.model.source, dtype=torch.float32)
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, algorithm_type="dpmsolver++")
    pipe.set_progress_bar_config(disable=True)
    theirs = [
        pipe(
            request.prompt, negative_prompt="star", num_inference_steps=5, guidance_scale=4.0, output_type="np",
            latents=torch.randn((1, *model.latent_shape), generator=torch.Generator().manual_seed(request.seed)),
        ).images[0]
        for request in REQUESTS
    ]  # fmt: skip
    drawn = ours(model, Recipe("star"), scheduler="dpm++", steps=5, guidance=4.0)
    assert_same(drawn, np.round(255 * np.stack(theirs)))


PAPER = {
    "weak": {"delta": 15, "s_S": 200, "lam": 0.0, "s_m": 0.0, "beta_m": 0.0},
    "medium": {"delta": 10, "s_S": 1000, "lam": 0.01, "s_m": 0.3, "beta_m": 0.4},
    "strong": {"delta": 7, "s_S": 2000, "lam": 0.025, "s_m": 0.5, "beta_m": 0.7},
    "max": {"delta": 0, "s_S": 5000, "lam": 1.0, "s_m": 0.5, "beta_m": 0.7},
}


@pytest.mark.parametrize("strength", PAPER)
@pytest.mark.parametrize("scheduler", ["dpm++", "ddim"])
def test_safe_latent_diffusion_follows_its_equations(model, scheduler, strength):
    steps, s_g, numbers = 10, 3.0, PAPER[strength]
    delta = round(numbers["delta"] * steps / 50)
    concept, empty, nu = model.encode(["star"]), model.encode([""]), {}

    def guided(eps_of, request, step):
        eps_0, eps_p, eps_s = (eps_of(c).numpy() for c in (empty, model.encode([request.prompt]), concept))
        before = nu.get(request, np.zeros_like(eps_0)) if step else np.zeros_like(eps_0)
        mu = np.zeros_like(eps_0)
        for at in np.ndindex(mu.shape):
            phi = numbers["s_S"] * (eps_p[at] - eps_s[at])
            if eps_p[at] - eps_s[at] < numbers["lam"]:
                mu[at] = min(1.0, abs(phi))
        gamma = mu * (eps_s - eps_0) + numbers["s_m"] * before
        nu[request] = numbers["beta_m"] * before + (1 - numbers["beta_m"]) * gamma
        return torch.from_numpy(eps_0 + s_g * (eps_p - eps_0 - (gamma if step >= delta else 0)))

    drawn = ours(model, Recipe("star", {}, strength), scheduler=scheduler, steps=steps, guidance=s_g)
    assert_same(drawn, literally(model, guided, scheduler=scheduler, steps=steps))
    assert not np.array_equal(drawn, ours(model, None, scheduler=scheduler, steps=steps, guidance=s_g))


def test_each_block_begins_without_momentum(model):
    recipe, sampler = Recipe("star", {}, "max"), model.sampler.model_copy(update={"steps": 4})
    drawn = [
        np.stack([pixels for _, pixels in draw_pictures(replace(model, recipe=recipe), requests, sampler, block=1)])
        for requests in (REQUESTS, REQUESTS[1:])
    ]
    assert np.array_equal(drawn[0][1:], drawn[1])


def test_a_recipe_is_read_back_as_it_was_written_and_is_of_one_base(project, tmp_path):
    params = project.params
    recipe = Recipe(TOKEN, {TOKEN: torch.ones(2, 4)}, "weak")
    save_recipe(tmp_path, recipe, params.model.digest, "sld")
    model = load_safeguarded_model(params.model, params.compute, tmp_path)
    assert (model.recipe.prompt, model.recipe.strength) == (TOKEN, "weak")
    assert torch.equal(model.recipe.tokens[TOKEN], recipe.tokens[TOKEN])
    save_recipe(tmp_path, Recipe("star"), params.model.digest, "negative")
    assert load_recipe(tmp_path, params.model.digest) == Recipe("star")
    save_tensors(tmp_path / RECIPE, {}, {"base": "sha256:" + "0" * 64})
    with pytest.raises(UserError, match="another base model"):
        load_recipe(tmp_path, params.model.digest)
