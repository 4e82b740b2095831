"""Latent inversion: find the noise from which a model draws a given picture (Rusanovsky et al., CVPR 2025).

A removal that only blocks words still has the concept in its latents: a likely noise draws it. Inversion is by the
regularized Newton-Raphson method (Samuel et al. 2023), and by plain DDIM inversion to check it.
"""

from dataclasses import dataclass
from math import log, pi
from pathlib import Path

import numpy as np
import torch

from hfi_core.attacks.base import AttackPrompt, Found, Target
from hfi_core.attacks.held_out import best_examples
from hfi_core.compute.seeding import picture_seed
from hfi_core.inversion.textual_inversion import TrainingExamples
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import SampleRequest, denoise, draw_pictures, make_scheduler
from hfi_core.params import LatentInversion, Sampler
from hfi_core.progress import Progress

ENTROPY = 0.5 * (1 + log(2 * pi))
"""Mean negative log-likelihood of one number of standard normal noise, in nats."""


@dataclass(frozen=True)
class Inverted:
    """The noise of several pictures, and how well it draws them again."""

    noise: torch.Tensor
    """z_T (N, C, H, W)."""
    psnr: np.ndarray
    """Of the redrawn pictures (N,), in dB."""
    psnr_ddim: np.ndarray
    """The same after plain DDIM inversion."""

    @property
    def nll(self) -> np.ndarray:
        """Return the negative log-likelihood of each noise under N(0, I), per number, in nats (N,)."""
        return (0.5 * self.noise.square() + 0.5 * log(2 * pi)).mean(dim=(1, 2, 3)).numpy()


def attack(target: Target, spec: LatentInversion, *, work: Path | None, progress: Progress) -> Found:
    """Invert held-out pictures, and pictures that the base draws of unrelated prompts, on the model under attack."""
    examples = best_examples(target, spec.pictures)
    total = examples.latents.shape[0] + spec.references
    flagged = _invert(target, spec, examples, lambda done: progress(done, total, "inverting pictures"))
    unrelated = _invert(
        target, spec, _draw_references(target, spec),
        lambda done: progress(spec.pictures + done, total, "inverting unrelated pictures"),
    )  # fmt: skip
    prompts = [
        AttackPrompt(str(prompt), str(prompt), target.picture_seed(str(prompt), i), guidance=1.0, latents=noise)
        for i, (prompt, noise) in enumerate(zip(examples.prompts, flagged.noise, strict=True))
    ]
    return Found(prompts, figures=compare(flagged, unrelated))


def compare(flagged: Inverted, unrelated: Inverted) -> dict[str, float]:
    """Return the figures of a concept's pictures against those of unrelated ones.

    `relative_distance` is d(flagged, N) / d(unrelated, N), where d is the squared earth mover's distance between two
    normal distributions, fitted to the likelihoods of several noises, and N belongs to N(0, I). Below 1, the concept's
    noise is likelier than that of what the model may draw.
    """
    figures: dict[str, float] = {}
    for name, side in (("", flagged), ("_unrelated", unrelated)):
        figures |= {
            f"psnr{name}": float(side.psnr.mean()),
            f"psnr_ddim{name}": float(side.psnr_ddim.mean()),
            f"nll{name}": float(side.nll.mean()),
        }
    numbers = flagged.noise[0].numel()
    return figures | {
        "nll_normal": ENTROPY,
        "relative_distance": _distance(flagged.nll, numbers) / _distance(unrelated.nll, numbers),
    }


def _distance(nll: np.ndarray, numbers: int) -> float:
    """Return the squared earth mover's distance of likelihoods (N,), per number, from those of standard normal noise.

    For noise of so many numbers, these have the mean `ENTROPY` and the variance 1 / (2 numbers).
    """
    return float((nll.mean() - ENTROPY) ** 2 + (nll.std() - (2 * numbers) ** -0.5) ** 2)


def _invert(target: Target, spec: LatentInversion, examples: TrainingExamples, report) -> Inverted:
    model, noise, psnr, psnr_ddim = target.model, [], [], []
    for start in range(0, len(examples.latents), target.block):
        latents = examples.latents[start : start + target.block].to(model.device)
        with torch.no_grad():
            condition = torch.cat([model.encode([str(prompt)]) for prompt in examples.prompts[start:][: len(latents)]])
        found = invert_latents(
            model, latents, condition, steps=spec.steps, iterations=spec.iterations,
            regularization=spec.regularization,
        )  # fmt: skip
        plain = invert_latents(model, latents, condition, steps=spec.steps, iterations=0, regularization=0.0)
        pictures = model.decode(latents)
        psnr += measure_psnr(_redraw(model, found, condition, spec.steps), pictures)
        psnr_ddim += measure_psnr(_redraw(model, plain, condition, spec.steps), pictures)
        noise.append(found.cpu())
        report(start + len(latents))
    return Inverted(torch.cat(noise), np.array(psnr), np.array(psnr_ddim))


def _draw_references(target: Target, spec: LatentInversion) -> TrainingExamples:
    """Return pictures that the base draws of the unrelated prompts in turn."""
    texts = [spec.unrelated[i % len(spec.unrelated)] for i in range(spec.references)]
    requests = [SampleRequest(text, picture_seed(*target.key, "unrelated", i)) for i, text in enumerate(texts)]
    drawn = draw_pictures(target.load_base(), requests, target.sampler, block=target.block)
    latents = target.model.encode_pictures(np.stack([pixels for _, pixels in drawn]), target.block)
    return TrainingExamples(latents, texts, torch.ones(len(texts)))


def invert_latents(
    model: TextToImage,
    latents: torch.Tensor,
    condition: torch.Tensor,
    *,
    steps: int,
    iterations: int,
    regularization: float,
) -> torch.Tensor:
    """Return the noise z_T (B, C, H, W) from which DDIM without guidance draws latents (B, C, H, W).

    A DDIM step from z_t to z_s, inverted, is the implicit equation z_t = f(z_t). Its residual, with the prior
    q(z_t | z_s) as a regularizer, is F(z) = || z - f(z) ||_1 + lambda NLL(z | z_s). From z = z_s on, Newton-Raphson for
    this scalar function takes each number to z_i - F(z) / (D dF/dz_i), with D numbers in z (Samuel et al. 2023,
    section 4). f of the iterate with the smallest F is z_t. Without iterations it is f(z_s): plain DDIM inversion (Song
    et al. 2021).
    """
    solver = make_scheduler(model, "ddim", steps)
    alphas = solver.alphas_cumprod.to(model.device)
    z = latents
    for t in solver.timesteps.flip(0).tolist():
        s = t - len(alphas) // steps
        ratio = alphas[t] / (alphas[s] if s >= 0 else solver.final_alpha_cumprod)
        alpha_s = alphas[t] / ratio
        z = _invert_step(model, z, t, condition, alphas[t], alpha_s, iterations, regularization)
    return z


def _invert_step(model, z_s, t, condition, alpha_t, alpha_s, iterations, regularization) -> torch.Tensor:
    at = torch.full((len(z_s),), t, device=z_s.device)
    ratio = alpha_t / alpha_s
    of_noise = (1 - alpha_t).sqrt() - (ratio * (1 - alpha_s)).sqrt()

    def f(z: torch.Tensor) -> torch.Tensor:
        return ratio.sqrt() * z_s + of_noise * model.predict(z, at, condition)

    if not iterations:
        with torch.no_grad():
            return f(z_s)
    z, best, best_residual = z_s, z_s, torch.full((len(z_s),), float("inf"), device=z_s.device)
    for _ in range(iterations):
        z = z.detach().requires_grad_()
        mapped = f(z)
        prior = (z - ratio.sqrt() * z_s).square() / (2 * (1 - ratio))
        residual = ((z - mapped).abs() + regularization * prior).sum(dim=(1, 2, 3))
        (gradient,) = torch.autograd.grad(residual.sum(), z)
        better = (residual < best_residual).view(-1, 1, 1, 1)
        best = torch.where(better, mapped.detach(), best)
        best_residual = torch.minimum(residual.detach(), best_residual)
        step = residual.detach().view(-1, 1, 1, 1) / (z[0].numel() * _away_from_zero(gradient))
        z = z - step
    return best


_SMALLEST_SLOPE = 0.1
"""Smaller slopes are taken as this, so that no number jumps (the authors' eta)."""


def _away_from_zero(gradient: torch.Tensor) -> torch.Tensor:
    return torch.where(gradient < 0, -1.0, 1.0) * gradient.abs().clamp(min=_SMALLEST_SLOPE)


def _redraw(model: TextToImage, noise: torch.Tensor, condition: torch.Tensor, steps: int) -> np.ndarray:
    sampler = Sampler(scheduler="ddim", steps=steps, guidance=1.0)
    *_, (latents, _) = denoise(model, noise, condition, condition, sampler=sampler)
    return model.decode(latents)


def measure_psnr(pictures: np.ndarray, originals: np.ndarray) -> list[float]:
    """Return the peak signal-to-noise ratio of pictures against originals, uint8 (N, H, W, 3), in dB, at most 100."""
    errors = np.square(pictures.astype(float) - originals.astype(float)).mean(axis=(1, 2, 3))
    return [min(100.0, 10 * float(np.log10(255**2 / error))) if error else 100.0 for error in errors]
