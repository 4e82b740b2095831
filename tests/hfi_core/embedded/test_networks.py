"""The networks have the shapes that the pipeline needs."""

import pytest
import torch

from hfi_core.embedded.networks import (
    FACTS,
    LATENT,
    UNREADABLE,
    WIDTH,
    JudgeNetwork,
    build_clip,
    build_scheduler,
    build_text_encoder,
    build_unet,
    build_vae,
)
from hfi_core.embedded.rendering import SIZE
from hfi_core.embedded.scenes import BACKGROUNDS, COLOURS, EMBLEMS, KINDS, STYLES
from hfi_core.embedded.tokenizer import MAX_TOKENS, build_tokenizer

TOKENIZER = build_tokenizer()


def size(module: torch.nn.Module) -> float:
    """Millions of parameters."""
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.fixture(scope="module", autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def ids(*texts: str) -> torch.Tensor:
    return TOKENIZER(list(texts), padding="max_length", max_length=MAX_TOKENS, return_tensors="pt").input_ids


def test_the_vae_takes_a_picture_to_a_quarter_of_its_side_and_back():
    vae = build_vae()
    latents = vae.encode(torch.zeros(2, 3, SIZE, SIZE)).latent_dist.mean
    assert latents.shape == (2, 4, LATENT, LATENT)
    assert vae.decode(latents).sample.shape == (2, 3, SIZE, SIZE)


def test_the_unet_estimates_noise_from_text():
    unet, text_encoder = build_unet(), build_text_encoder(TOKENIZER)
    condition = text_encoder(ids("a badge", ""))[0]
    assert condition.shape == (2, MAX_TOKENS, WIDTH)
    noise = unet(torch.zeros(2, 4, LATENT, LATENT), torch.tensor([0, 999]), condition).sample
    assert noise.shape == (2, 4, LATENT, LATENT)


def test_clip_puts_pictures_and_texts_into_one_space():
    clip = build_clip(TOKENIZER)
    output = clip(input_ids=ids("a badge", "a ball", ""), pixel_values=torch.zeros(2, 3, SIZE, SIZE))
    assert output.logits_per_image.shape == (2, 3)


def test_the_judge_reads_every_fact_and_the_strength_of_each_style():
    output = JudgeNetwork()(torch.zeros(2, 3, SIZE, SIZE))
    assert {fact: logits.shape for fact, logits in output.items()} == {
        "kind": (2, len(KINDS) + 1),
        "colour": (2, len(COLOURS)),
        "background": (2, len(BACKGROUNDS)),
        "emblem": (2, len(EMBLEMS) + 2),
        "strength": (2, len(STYLES)),
    }
    assert UNREADABLE in FACTS["kind"] and UNREADABLE in FACTS["emblem"]


def test_all_networks_together_fit_into_16_mb_of_half_precision():
    judges = 2 * size(JudgeNetwork())
    together = (
        size(build_vae()) + size(build_unet()) + size(build_text_encoder(TOKENIZER)) + size(build_clip(TOKENIZER))
    )
    assert 2 * (together + judges) < 16


def test_the_noise_schedule_is_that_of_stable_diffusion():
    config = build_scheduler().config
    assert (config.beta_start, config.beta_end, config.beta_schedule) == (0.00085, 0.012, "scaled_linear")
    assert config.prediction_type == "epsilon" and config.num_train_timesteps == 1000
