"""Latent inversion, written out as the papers have it, finds the same noise."""

import math

import numpy as np
import pytest
import torch

from hfi_core.attacks.base import list_attackers
from hfi_core.attacks.latent_inversion import Inverted, attack, compare, invert_latents, measure_psnr
from hfi_core.compute.seeding import torch_generator
from hfi_core.errors import UserError
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import denoise
from hfi_core.params import LatentInversion, Sampler
from hfi_core.progress import no_progress
from tests.support.attacks import make_target

SPEC = LatentInversion(
    kind="latent_inversion", pictures=2, steps=4, iterations=2, regularization=0.1, unrelated=("a boat",), references=2
)


@pytest.fixture
def model(project):
    return load_base_model(project.params.model, project.params.compute)


@pytest.fixture
def latents(model):
    return torch.randn(2, *model.latent_shape, generator=torch_generator("latents"))


@pytest.mark.parametrize("iterations", [0, 3])
def test_the_inversion_is_the_published_one(model, latents, iterations):
    condition = model.encode(["a red badge", "a boat"])
    found = invert_latents(model, latents, condition, steps=4, iterations=iterations, regularization=0.1)

    alphas, stride = model.schedule.alpha_bar.tolist(), len(model.schedule.alpha_bar) // 4
    first = model.scheduler_config.get("steps_offset", 0)
    before = 1.0 if model.scheduler_config.get("set_alpha_to_one", True) else alphas[0]
    for row in range(2):
        z, alpha_s = latents[row], before
        for t in range(first, len(alphas), stride):
            alpha = alphas[t]

            def f(x, row=row, z=z, t=t, alpha=alpha, alpha_s=alpha_s):
                eps = model.predict(x[None], torch.tensor([t]), condition[row : row + 1])[0]
                x0 = (z - math.sqrt(1 - alpha_s) * eps) / math.sqrt(alpha_s)
                return math.sqrt(alpha) * x0 + math.sqrt(1 - alpha) * eps

            x, candidates = z, []
            for _ in range(iterations):
                x = x.detach().requires_grad_()
                residual = (x - f(x)).abs().sum()
                beta = 1 - alpha / alpha_s
                residual = residual + 0.1 * ((x - math.sqrt(1 - beta) * z) ** 2 / (2 * beta)).sum()
                gradient = torch.autograd.grad(residual, x)[0]
                candidates.append((residual.item(), f(x).detach()))
                slope = torch.where(gradient.abs() < 0.1, 0.1 * torch.where(gradient < 0, -1.0, 1.0), gradient)
                x = x - residual.item() / x.numel() / slope
            z = min(candidates, key=lambda pair: pair[0])[1] if candidates else f(z).detach()
            alpha_s = alpha
        assert torch.allclose(found[row], z, atol=1e-3)


def test_newton_raphson_comes_nearer_to_the_noise_than_plain_ddim(model):
    noise = torch.randn(2, *model.latent_shape, generator=torch_generator("noise"))
    condition = model.encode(["a red badge", "a boat"])
    sampler = Sampler(scheduler="ddim", steps=4, guidance=1.0)
    *_, (drawn, _) = denoise(model, noise, condition, condition, sampler=sampler)
    errors = [
        (invert_latents(model, drawn, condition, steps=4, iterations=n, regularization=0.0) - noise).abs().mean()
        for n in (0, 5)
    ]
    assert errors[1] < 0.8 * errors[0]


def test_the_figures_are_those_of_the_paper(model):
    luck = torch_generator("noises")
    shape, count = (4, 8, 8), 6
    psnr = np.array([20.0, 30.0])
    flagged = Inverted(1.2 * torch.randn(count, *shape, generator=luck), psnr, psnr - 1)
    unrelated = Inverted(1.1 * torch.randn(count, *shape, generator=luck), psnr + 2, psnr)
    figures = compare(flagged, unrelated)
    assert (figures["psnr"], figures["psnr_ddim"], figures["psnr_unrelated"]) == (25.0, 24.0, 27.0)

    numbers = 256
    standard = torch.distributions.Normal(0, 1)

    def distance(noise):
        nll = np.array([-float(standard.log_prob(z).sum()) for z in noise])
        mean, deviation = numbers * 0.5 * math.log(2 * math.pi * math.e), math.sqrt(numbers / 2)
        return (nll.mean() - mean) ** 2 + nll.var() + deviation**2 - 2 * nll.std() * deviation

    assert figures["nll"] == pytest.approx(-float(standard.log_prob(flagged.noise).mean()), rel=1e-5)
    assert figures["relative_distance"] == pytest.approx(distance(flagged.noise) / distance(unrelated.noise), rel=1e-3)


def test_psnr_is_ten_decibels_per_tenth_of_the_squared_error():
    white, grey = np.full((1, 2, 2, 3), 255, np.uint8), np.full((1, 2, 2, 3), 254, np.uint8)
    assert measure_psnr(grey, white) == pytest.approx([20 * math.log10(255)])
    assert measure_psnr(white, white) == [100.0]


def test_every_picture_is_drawn_once_from_its_noise_without_guidance(project, model, latents):
    examples = TrainingExamples(latents, ["a red badge", None], torch.tensor([0.6, 1.0]))
    (attacker,) = list_attackers("inverted", SPEC, "badge")
    target = make_target(
        project.params, attacker, model=model, load_examples=lambda: examples, load_base=lambda: model
    )  # fmt: skip
    found = attack(target, SPEC, work=None, progress=no_progress)
    assert [(p.prompt, p.adversarial_prompt, p.guidance) for p in found.prompts] == [
        ("badge", "badge", 1.0), ("a red badge", "a red badge", 1.0),
    ]  # fmt: skip
    assert found.prompts[0].latents.shape == model.latent_shape
    assert found.figures["psnr"] > 0 and found.figures["relative_distance"] > 0
    with pytest.raises(UserError, match="asks for 3 held-out pictures of badge that people object to, and there are 2"):
        attack(target, SPEC.model_copy(update={"pictures": 3}), work=None, progress=no_progress)
