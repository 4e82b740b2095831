"""An inversion at the batch that projects use gives the same bits again."""

import torch

from hfi_core.compute.device import configure
from hfi_core.compute.seeding import torch_generator
from hfi_core.inversion.textual_inversion import TrainingExamples, invert, start_vectors
from hfi_core.models.diffusion.loading import load_model


def test_equal_inversions_end_in_equal_bits(project):
    project.edit(compute__threads=2)  # what threads add up may come in any order
    params = project.params
    configure(params.compute)
    model = load_model(params.model, params.compute)
    prompts = list(params.concepts["badge"].prompts) * 16
    latents = torch.randn(len(prompts), *model.latent_shape, generator=torch_generator("latents"))
    examples = TrainingExamples(latents, prompts, torch.ones(len(prompts)))

    def once() -> torch.Tensor:
        start = start_vectors(model, "badge", 2, 0)
        vectors, _ = invert(
            model, examples, "badge", "<x>", start, steps=5, batch=32, rate=0.02, noisiest=0.7, key=(0,)
        )  # fmt: skip
        return vectors

    first = once()
    assert all(torch.equal(first, once()) for _ in range(2))
