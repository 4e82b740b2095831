"""An inversion at the batch that projects use gives the same bits again."""

import torch

from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import torch_generator
from hfi_core.inversion.textual_inversion import InversionSettings, TrainingExamples, invert_token, make_start_vectors
from hfi_core.models.diffusion.loading import load_base_model


def test_equal_inversions_end_in_equal_bits(project):
    project.edit(compute__threads=2)  # what threads add up may come in any order
    params = project.params
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    prompts = list(params.concepts["badge"].prompts) * 16
    latents = torch.randn(len(prompts), *model.latent_shape, generator=torch_generator("latents"))
    examples = TrainingExamples(latents, prompts, torch.ones(len(prompts)))

    def once() -> torch.Tensor:
        start = make_start_vectors(model, "badge", 2, 0)
        vectors, _ = invert_token(
            model, examples, "badge", "<x>", start, InversionSettings(5, 32, 0.02, 0.7), key=(0,)
        )  # fmt: skip
        return vectors

    first = once()
    assert all(torch.equal(first, once()) for _ in range(2))
