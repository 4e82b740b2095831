"""Erased Stable Diffusion, ESD (Gandikota et al. 2023, arXiv 2303.07345), under the text concept or under v*.

L = E || eps_student(x_t, t, c) - a ||^2, with the target of the paper's section 4, its negative guidance:

    a = eps_frozen(x_t, t, c0) - eta (eps_frozen(x_t, t, c) - eps_frozen(x_t, t, c0))

eta is `negative_guidance`. What learns is the paper's variant: ESD-x trains cross-attention, ESD-u all but
cross-attention, and the strict one of the authors' code keys and values only. See docs/explanation/method.md.
"""

import torch

from hfi_core.erasure.targets import DistillationTarget, ErasureConcept, encode_concept
from hfi_core.models.diffusion.model import TextToImage


@torch.no_grad()
def make_targets(
    model: TextToImage, concepts: list[ErasureConcept], condition: str, eta: float
) -> list[DistillationTarget]:
    """Return one target per concept: its prompts, pulled to the other side of the empty prompt."""
    empty, targets = model.encode([""]), []
    for concept in concepts:
        c = encode_concept(model, concept, condition)
        # (1 + eta) eps(c0) - eta eps(c): the same sum, in the order of its conditions.
        targets.append(DistillationTarget(concept.name, c, ((1 + eta, empty.expand_as(c)), (-eta, c))))
    return targets
