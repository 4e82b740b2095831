"""Inversion on the miniature model: the same bits again, and its loss against a literal transcription."""

import pytest
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


@pytest.mark.parametrize(("contrast", "own"), [(0.0, 5), (0.5, 3)])
def test_contrast_takes_the_loss_of_the_other_side_off(project, contrast, own):
    """L = mean over x of |eps - eps_theta(x_t, t, v)|^2 - lambda mean over y of the same; half of the batch are y."""
    params = project.params
    configure_torch(params.compute)
    model = load_base_model(params.model, params.compute)
    latents = torch.randn(6, *model.latent_shape, generator=torch_generator("latents"))
    # Of each side, one picture has all the weight.
    other = TrainingExamples(latents[3:], ["a blue badge"] * 3, torch.tensor([0.0, 0.0, 1.0]))
    examples = TrainingExamples(latents[:3], ["a red badge"] * 3, torch.tensor([0.0, 1.0, 0.0]), other)
    start = make_start_vectors(model, "badge", 2, 0)
    settings = InversionSettings(1, 5, 0.02, 0.5, contrast)
    _, losses = invert_token(model, examples, "badge", "<x>", start, settings, key=(7,))

    generator = torch_generator("invert", 7, 0)
    for count in [own] + [5 - own] * bool(contrast):
        torch.multinomial(torch.ones(3), count, replacement=True, generator=generator)
    length = len(model.schedule.alpha_bar)
    t = torch.randint(length // 2, length, (5,), generator=generator)
    noise = torch.randn(5, *model.latent_shape, generator=generator)
    errors = []
    for i in range(5):
        x_0, prompt = (latents[1], "a red <x>") if i < own else (latents[5], "a blue <x>")
        alpha_bar = model.schedule.alpha_bar[t[i]]
        x_t = alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise[i]
        estimate = model.predict(x_t[None], t[i : i + 1], model.encode([prompt], {"<x>": start}))[0]
        scale = alpha_bar.rsqrt() if model.schedule.prediction_type == "v_prediction" else 1
        errors.append(float(((noise[i] - estimate) * scale).square().mean()))
    expected = sum(errors[:own]) / own
    if contrast:
        expected -= contrast * sum(errors[own:]) / (5 - own)
    assert losses.tolist() == pytest.approx([expected], rel=1e-4)
