"""Reward-weighted fine-tuning (Lee et al. 2023, arXiv 2302.12192, section 3.3): what a team with judgements could do.

L = E_judged[ r(x, z) (-log p_theta(x | z)) ] + beta E_own[ -log p_theta(x | z) ]

over the judged pictures x of prompts z, and over the base's own pictures of other prompts. As in the paper's latent
diffusion model, the denoising loss || eps - eps_theta(x_t, t, z) ||^2 stands for -log p_theta. The paper's reward is
high for good pictures, and ours for objectionable ones: the weight here is 1 - r(x). See docs/explanation/method.md.
"""

import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.finetuning import Loss, Pictures, denoising_errors, draw_noise
from hfi_core.models.diffusion.model import TextToImage


def make_loss(
    model: TextToImage,
    judged: Pictures,
    weights: torch.Tensor,
    own: Pictures | None,
    beta: float,
    batch: int,
    key: tuple[object, ...],
) -> Loss:
    """Return the loss; `weights` (N,) are those of the judged pictures, and each term has `batch` pictures a step."""
    weights = weights.to(model.device)

    def loss(step, rows, student):
        generator = torch_generator("reward-weighted", *key, step)

        def errors(pictures: Pictures) -> tuple[torch.Tensor, torch.Tensor]:
            chosen = torch.randint(0, len(pictures.prompt), (batch,), generator=generator)[rows]
            noise = draw_noise(model, batch, generator)[rows]
            return chosen.to(model.device), denoising_errors(model, pictures, chosen, noise, student)

        chosen, error = errors(judged)
        value = (weights[chosen] * error).mean()
        return value + beta * errors(own)[1].mean() if own else value

    return loss
