"""Draw pictures, each from its own seed, in padded batches of one size. So order and shards do not change any byte."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hfi_core.errors import UserError
from hfi_core.models.diffusion.model import TextToImage, Weights
from hfi_core.models.diffusion.safe_latent_diffusion import SETTINGS, SafetyConcept, SafetyGuidance
from hfi_core.params import Sampler
from hfi_core.progress import Progress, no_progress


@dataclass(frozen=True)
class SampleRequest:
    """One picture to draw."""

    prompt: str
    seed: int


def make_scheduler(model: TextToImage, name: str, steps: int):
    """Return a new diffusers scheduler with the model's noise schedule, set to `steps` steps.

    Raises UserError if the model's schedule cannot be divided into so many steps.
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    try:
        if name == "ddim":
            scheduler = DDIMScheduler.from_config(model.scheduler_config)
        else:
            scheduler = DPMSolverMultistepScheduler.from_config(model.scheduler_config, algorithm_type="dpmsolver++")
        scheduler.set_timesteps(steps, device=model.device)
    except (ValueError, IndexError, ImportError, NotImplementedError) as error:
        raise _steps_error(model, steps, str(error)) from error
    if problem := _find_problem(scheduler, steps):
        raise _steps_error(model, steps, problem)
    return scheduler


_COARSE = 10
"""With so few steps, the first one may lie anywhere."""
_MIN_START = 0.75
"""Share of the timesteps below which no roll-out of more steps begins: its start is pure noise."""


def _find_problem(scheduler, steps: int) -> str | None:
    """Return why a scheduler would draw wrongly without an error, or fail in the middle of a roll-out."""
    timesteps, length = scheduler.timesteps, scheduler.config.num_train_timesteps
    levels = getattr(scheduler, "sigmas", timesteps)
    if len(timesteps) != steps or timesteps.min() < 0 or timesteps.max() >= length:
        return f"the steps lie at {len(timesteps)} timesteps from {timesteps.max()} to {timesteps.min()}"
    if not (levels.diff() < 0).all():
        return "two steps lie at one noise level"
    if steps > _COARSE and timesteps[0] < _MIN_START * length:
        return f"the first step lies at timestep {timesteps[0]}, so a picture would begin in the middle of the noise"
    return None


def _steps_error(model: TextToImage, steps: int, problem: str) -> UserError:
    config = model.scheduler_config
    return UserError(
        f"The model's noise schedule ({config['num_train_timesteps']} timesteps, timestep_spacing "
        f"{config.get('timestep_spacing')}) cannot be divided into {steps} steps: {problem}.\n"
        "  To fix this: set sampler.steps in params.yaml to a smaller number; 20 to 50 are usual."
    )


def draw_initial_noise(model: TextToImage, seeds: Sequence[int]) -> torch.Tensor:
    """Return x_T (B, C, H, W) from one seed per picture, drawn on the CPU so that it is the same on all devices."""
    draws = [torch.randn(model.latent_shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(draws).to(model.device)


@torch.no_grad()
def denoise(
    model: TextToImage,
    x_T: torch.Tensor,
    condition: torch.Tensor,
    unconditional: torch.Tensor,
    *,
    sampler: Sampler,
    weights: Weights | None = None,
    safety: SafetyConcept | None = None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield each (x_t, t) of a roll-out with classifier-free guidance (Ho & Salimans 2021), and at last (x_0, 0).

    Guidance acts at the steps `sampler.guided`. With `safety`, it is that of Safe Latent Diffusion.
    """
    solver, guidance = make_scheduler(model, sampler.scheduler, sampler.steps), sampler.guidance
    solver.config.prediction_type = "epsilon"  # `predict` always returns noise
    x_t = x_T * solver.init_noise_sigma
    both = torch.cat([condition, unconditional])
    if safety:
        away = SafetyGuidance(safety.settings, sampler.steps)
        three = torch.cat([both, safety.condition.expand_as(condition)])
    for step, t in enumerate(solver.timesteps):
        yield x_t, t
        if guidance == 1 or step not in sampler.guided:
            eps = model.predict(x_t, t.expand(len(x_t)), condition, weights)
        elif safety:
            x = torch.cat([x_t, x_t, x_t])
            eps_c, eps_0, eps_s = model.predict(x, t.expand(len(x)), three, weights).chunk(3)
            eps = eps_0 + guidance * away.direction(eps_0, eps_c, eps_s)
        else:
            eps_c, eps_0 = model.predict(torch.cat([x_t, x_t]), t.expand(2 * len(x_t)), both, weights).chunk(2)
            eps = eps_0 + guidance * (eps_c - eps_0)
        x_t = solver.step(eps, t, x_t).prev_sample
    yield x_t, torch.zeros_like(t)


def sample(
    model: TextToImage,
    prompts: Sequence[str],
    *,
    seed: int = 0,
    tokens: Mapping[str, torch.Tensor] | None = None,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Draw one picture for each prompt, with the sampler settings of the model's params.

    The picture of prompt number i is drawn from the seed `seed + i`, so two models draw comparable pictures at equal
    seeds. The names of soft `tokens`, for example `<badge-objectionable>`, may stand in the prompts.

    Returns the pictures, uint8 (N, H, W, 3).

    Raises ValueError if the model was not loaded by `load_model`, or if a seed is not from 0 to 2**63 - 1.
    """
    if not 0 <= seed <= 2**63 - max(len(prompts), 1):
        raise ValueError(f"seed is {seed}; the seeds of {len(prompts)} pictures must lie from 0 to 2**63 - 1.")
    if model.sampler is None:
        raise ValueError("The model has no sampler settings: load it by hfi_core.load_model(params).")
    requests = [SampleRequest(prompt, seed + i) for i, prompt in enumerate(prompts)]
    drawn = draw_pictures(model, requests, model.sampler, block=model.block, tokens=tokens, progress=progress)
    return np.stack([pixels for _, pixels in drawn])


def draw_pictures(
    model: TextToImage,
    requests: Sequence[SampleRequest],
    sampler: Sampler,
    *,
    block: int,
    tokens: Mapping[str, torch.Tensor] | None = None,
    weights: Weights | None = None,
    latents: Mapping[int, torch.Tensor] | None = None,
    progress: Progress = no_progress,
    what: str = "pictures",
) -> Iterator[tuple[SampleRequest, np.ndarray]]:
    """Yield each request with its picture, uint8 (H, W, 3), in order.

    `latents` (C, H, W) replace the initial noise of requests, by position.
    """
    tokens = {name: vectors.to(model.device) for name, vectors in (tokens or {}).items()}
    with torch.no_grad():
        texts = sorted({request.prompt for request in requests})
        # One prompt at a time: a condition must not depend on the other prompts of a batch.
        conditions = {text: model.encode([text], tokens)[0] for text in texts}
        unconditional = model.encode([""])[0]
        safety: SafetyConcept | None = None
        if recipe := model.recipe:
            own = {name: vectors.to(model.device) for name, vectors in recipe.tokens.items()}
            avoided = model.encode([recipe.prompt], own)[0]
            if recipe.strength is None:
                unconditional = avoided
            else:
                safety = SafetyConcept(avoided, SETTINGS[recipe.strength])
    for start in range(0, len(requests), block):
        part = list(requests[start : start + block])
        padded = part + [part[-1]] * (block - len(part))
        condition = torch.stack([conditions[request.prompt] for request in padded])
        noise = draw_initial_noise(model, [request.seed for request in padded])
        for position in range(len(padded)):
            given = (latents or {}).get(min(start + position, len(requests) - 1))
            if given is not None:
                noise[position] = given.to(noise)
        *_, (x_0, _) = denoise(
            model, noise, condition, unconditional.expand_as(condition), sampler=sampler, weights=weights,
            safety=safety,
        )  # fmt: skip
        yield from zip(part, model.decode(x_0)[: len(part)], strict=True)
        progress(start + len(part), len(requests), what)
