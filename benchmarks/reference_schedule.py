"""Train on the schedule of the reference SDD trainer, written from its description, to be timed beside ours.

For every gradient step, the EMA teacher draws a fresh guided roll-out of 50 steps and stops at one random step. The
batch is 1. Student and teacher are two whole UNets. Target and data are the same as ours, so that only the schedule
differs.
"""

import copy
from collections.abc import Callable

import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.models.diffusion.model import TextToImage
from hfi_core.models.diffusion.sampling import make_scheduler

ROLLOUT_STEPS = 50


def train(
    model: TextToImage,
    conditions: torch.Tensor,
    anchors: torch.Tensor,
    *,
    steps: int,
    rate: float,
    ema: float,
    guidance: float,
    after_step: Callable[[int, torch.nn.Module], bool],
) -> None:
    """Train until `after_step(step, teacher)` is true, or for `steps` steps."""
    student, teacher = copy.deepcopy(model.unet), copy.deepcopy(model.unet)
    learnt = {name: p.requires_grad_(True) for name, p in student.named_parameters() if ".attn2." in name}
    optimizer = torch.optim.AdamW(learnt.values(), lr=rate, weight_decay=0.0)
    unconditional = model.encode([""]).detach()

    def eps(unet: torch.nn.Module, x_t: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        attended, more = model.text.unet_inputs(condition)
        return unet(x_t.to(model.dtype), t, attended, **more).sample.float()

    for step in range(steps):
        generator = torch_generator("reference", step)
        row = int(torch.randint(0, len(conditions), (1,), generator=generator))
        condition, anchor = conditions[row : row + 1], anchors[row : row + 1]
        stop = int(torch.randint(0, ROLLOUT_STEPS, (1,), generator=generator))
        x_t = torch.randn((1, *model.latent_shape), generator=generator).to(model.device)
        solver = make_scheduler(model, "ddim", ROLLOUT_STEPS)
        with torch.no_grad():
            for t in solver.timesteps[:stop]:
                both = torch.cat([condition, unconditional])
                eps_c, eps_0 = eps(teacher, torch.cat([x_t, x_t]), t, both).chunk(2)
                x_t = solver.step(eps_0 + guidance * (eps_c - eps_0), t, x_t).prev_sample
            t = solver.timesteps[stop]
            target = eps(model.unet, x_t, t, anchor)
        (eps(student, x_t, t, condition) - target).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(learnt.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        keep = min(ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for ours, theirs in zip(teacher.parameters(), student.parameters(), strict=True):
                ours.lerp_(theirs, 1 - keep)
        if after_step(step, teacher):
            return
