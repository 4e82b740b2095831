"""Reward-weighted fine-tuning and Diffusion-DPO: their published losses, their pairs, and what they teach."""

from dataclasses import replace

import pytest
import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure import dpo, reward_weighted
from hfi_core.erasure.finetuning import denoising_errors, draw_noise, draw_own_pictures, make_pictures
from hfi_core.erasure.methods import METHODS
from hfi_core.errors import UserError
from hfi_core.inversion.examples import JudgedPictures
from hfi_core.models.diffusion.schedule import NoiseSchedule
from hfi_core.params import DPO, RewardWeighted, parse_params
from hfi_core.progress import no_progress
from tests.support.projects import DPO_ROW, REWARD_WEIGHTED_ROW, default_raw

ALL, KEY = slice(None), ("test",)


@pytest.fixture(scope="module")
def judged(small_model):
    latents = torch.randn(6, *small_model.latent_shape, generator=torch_generator("judged"))
    rewards = torch.tensor([0.9, 0.8, 0.1, 0.2, 0.7, 0.0])
    return JudgedPictures(latents, ["a badge", "a red badge"] * 2 + [None, "a red badge"], rewards, rewards.round())


@pytest.fixture(scope="module")
def student(small_model):
    generator = torch_generator("student")
    return {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in small_model.cross_attention().items()
    }


@pytest.fixture(scope="module")
def own(small_model, small_params):
    return draw_own_pictures(small_model, ["a boat", "a tree"], 2, small_params.sampler, 3, KEY)


@torch.no_grad()
def output(model, x_t, t, condition, weights):
    """The network's own output."""
    raw = replace(model, schedule=NoiseSchedule(model.schedule.alpha_bar, "epsilon"))
    return raw.predict(x_t, t, condition, weights)


def error(model, pictures, number, t, eps, weights):
    """|| eps - eps_theta(x_t, t, z) ||^2 of one picture, or that of v, as a mean; x_t by Ho et al. 2020, eq. 4."""
    a, s, x_0 = model.schedule.alpha_bar[t].sqrt(), (1 - model.schedule.alpha_bar[t]).sqrt(), pictures.latents[number]
    target = eps if model.schedule.prediction_type == "epsilon" else a * eps - s * x_0
    condition = pictures.conditions[pictures.prompt[number]]
    predicted = output(model, (a * x_0 + s * eps)[None], t[None], condition[None], weights)[0]
    return float((target - predicted).square().mean())


def test_the_base_s_own_pictures_do_not_depend_on_the_block(small_model, small_params, own):
    other = draw_own_pictures(small_model, ["a boat", "a tree"], 2, small_params.sampler, 4, KEY)
    torch.testing.assert_close(other.latents, own.latents, atol=1e-4, rtol=1e-4)
    assert own.prompt.tolist() == [0, 0, 1, 1] and len(own.latents) == 4
    assert not torch.allclose(own.latents[0], own.latents[1])


def test_the_reward_weighted_loss_is_the_published_one(eps_or_v_model, student, own, judged):
    model = eps_or_v_model
    pictures = make_pictures(model, judged.latents, [prompt or "badge" for prompt in judged.prompts])
    loss = reward_weighted.make_loss(model, pictures, 1 - judged.rewards, own, 0.7, 5, KEY)
    with torch.no_grad():
        value = float(loss(3, ALL, student))
    generator = torch_generator("reward-weighted", *KEY, 3)
    chosen, noise = torch.randint(0, 6, (5,), generator=generator), draw_noise(model, 5, generator)
    again, other = torch.randint(0, 4, (5,), generator=generator), draw_noise(model, 5, generator)
    expected = sum(
        (1 - float(judged.rewards[n])) * error(model, pictures, n, noise.t[i], noise.eps[i], student)
        for i, n in enumerate(chosen.tolist())
    ) + 0.7 * sum(
        error(model, own, n, other.t[i], other.eps[i], student) for i, n in enumerate(again.tolist())
    )  # fmt: skip
    assert value == pytest.approx(expected / 5, rel=1e-4)


@pytest.mark.parametrize("beta", [1.0, 500.0])
def test_the_dpo_loss_is_the_published_one(eps_or_v_model, student, judged, beta):
    model = eps_or_v_model
    pictures = make_pictures(model, judged.latents, [prompt or "badge" for prompt in judged.prompts])
    pairs = dpo.find_pairs([prompt or "badge" for prompt in judged.prompts], judged.labels.tolist(), "binary")
    with torch.no_grad():
        value = float(dpo.make_loss(model, pictures, [pairs], None, beta, 4, KEY)(2, ALL, student))
    generator = torch_generator("dpo", *KEY, 2)
    preferred, others = pairs.draw(4, generator)
    noise = draw_noise(model, 4, generator)
    expected = 0.0
    for w, l, t, eps in zip(preferred.tolist(), others.tolist(), noise.t, noise.eps, strict=True):  # noqa: E741
        of_w, of_w_ref, of_l, of_l_ref = (
            error(model, pictures, number, t, eps, weights) for number in (w, l) for weights in (student, None)
        )
        inside = -beta * (of_w - of_w_ref - (of_l - of_l_ref))
        expected -= float(torch.tensor(inside, dtype=torch.float64).sigmoid().log()) / 4
    assert value == pytest.approx(expected, rel=1e-3)


def test_preserved_prompts_add_what_the_student_s_estimate_lacks_of_the_base_s(eps_or_v_model, student, own, judged):
    model = eps_or_v_model
    pictures = make_pictures(model, judged.latents, [prompt or "badge" for prompt in judged.prompts])
    pairs = dpo.find_pairs([prompt or "badge" for prompt in judged.prompts], judged.labels.tolist(), "binary")
    with torch.no_grad():
        without, with_own = (
            float(dpo.make_loss(model, pictures, [pairs], preserved, 1.0, 4, KEY)(2, ALL, student))
            for preserved in (None, own)
        )
    generator = torch_generator("dpo", *KEY, 2)
    pairs.draw(4, generator)
    draw_noise(model, 4, generator)
    chosen, noise = torch.randint(0, 4, (4,), generator=generator), draw_noise(model, 4, generator)
    x_t, condition = own.noised(model, chosen, noise)
    outputs = [output(model, x_t, noise.t, condition, weights) for weights in (student, None)]
    assert with_own - without == pytest.approx(float((outputs[0] - outputs[1]).square().mean()), rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("binary", {(2, 0), (3, 1), (5, 1)}), ("ranking", {(2, 0), (2, 4), (4, 0), (3, 1), (5, 1), (5, 3)})],
)
def test_a_pair_is_of_one_prompt_and_prefers_what_people_accept_or_rank_lower(kind, expected):
    prompts, labels = ["a", "b", "a", "b", "a", "b"], [1.0, 0.9, 0.0, 0.4, 0.5, 0.1]
    pairs = dpo.find_pairs(prompts, labels, kind)
    preferred, others = pairs.draw(500, torch_generator("pairs"))
    assert set(zip(preferred.tolist(), others.tolist(), strict=True)) == expected


def test_without_two_different_judgements_on_one_prompt_dpo_says_so():
    with pytest.raises(UserError, match="dpo needs two pictures of one prompt that people judged differently"):
        dpo.find_pairs(["a", "b"], [1.0, 0.0], "binary")


def run(model, params, concepts, judged, spec):
    material = [replace(concept, load_judged=lambda: judged) for concept in concepts]
    return METHODS[spec.method](
        model, material, spec, params, key=KEY, work=None, before_step=lambda step, weights: None, progress=no_progress
    )


TAUGHT = {"steps": 15, "rate": 1e-3, "batch": 6, "preserved": ["a boat"]}


def errors(model, judged, weights):
    """The mean denoising error of each judged picture, over noise that no training drew."""
    pictures = make_pictures(model, judged.latents, [prompt or "badge" for prompt in judged.prompts])
    noise = draw_noise(model, 20, torch_generator("elsewhere"))
    with torch.no_grad():
        return torch.stack(
            [denoising_errors(model, pictures, torch.full((20,), n), noise, weights).mean() for n in range(6)]
        )


def test_accepted_pictures_become_likelier_by_reward_weighting(small_model, small_params, concepts, judged):
    weights, losses = run(
        small_model, small_params, concepts, judged, RewardWeighted(**REWARD_WEIGHTED_ROW | TAUGHT | {"beta": 0.1})
    )
    gain = errors(small_model, judged, None) - errors(small_model, judged, weights)
    assert gain[judged.labels == 0].mean() > 0 and len(losses) == 15


def test_accepted_pictures_become_likelier_than_flagged_ones_by_dpo(small_model, small_params, concepts, judged):
    weights, losses = run(small_model, small_params, concepts, judged, DPO(**DPO_ROW | TAUGHT | {"beta": 100.0}))
    gain = errors(small_model, judged, None) - errors(small_model, judged, weights)
    assert gain[judged.labels == 0].mean() > gain[judged.labels == 1].mean()
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"preserved": []}])
def test_beta_and_the_prompts_that_it_weights_come_together(wrong):
    raw = default_raw()
    raw["removals"]["rewarded"] = REWARD_WEIGHTED_ROW | wrong
    with pytest.raises(UserError, match="removals.rewarded: beta weights the base's own pictures"):
        parse_params(raw)
