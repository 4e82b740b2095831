"""The networks have the shapes that the pipeline needs."""

import pytest
import torch

from hfi_core.embedded.networks import (
    LATENT,
    NO_EMBLEM,
    UNREADABLE,
    WEIGHTS,
    WIDTH,
    JudgeNetwork,
    build_clip,
    build_scheduler,
    build_text_encoder,
    build_unet,
    build_vae,
    list_facts,
    load_judge_network,
    save_judge_network,
)
from hfi_core.embedded.rendering import SIZE
from hfi_core.embedded.scenes import BADGES, SIGNS
from hfi_core.embedded.tokenizer import MAX_TOKENS, build_tokenizer
from hfi_core.errors import UserError
from hfi_core.io.tensors import save_tensors
from tests.support.worlds import each_world

TOKENIZER = build_tokenizer(BADGES)


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


@each_world
def test_the_judge_reads_every_fact_of_its_world_and_the_strength_of_each_style(world):
    output = JudgeNetwork(world)(torch.zeros(2, 3, SIZE, SIZE))
    assert {fact: logits.shape for fact, logits in output.items()} == {
        "kind": (2, len(world.kinds) + 1),
        "colour": (2, len(world.colours)),
        "background": (2, len(world.backgrounds)),
        "emblem": (2, len(world.emblems) + 2),
        "strength": (2, len(world.styles)),
    }
    assert (output["strength"] >= 0).all() and (output["strength"] <= 1).all()
    facts = list_facts(world)
    assert facts["kind"] == (*world.kinds, UNREADABLE)
    assert facts["emblem"] == (*world.emblems, NO_EMBLEM, UNREADABLE)


@each_world
def test_a_judge_is_loaded_in_the_world_that_it_was_saved_in(world, tmp_path):
    network = JudgeNetwork(world)
    pictures = torch.rand(2, 3, SIZE, SIZE)
    save_judge_network(tmp_path / WEIGHTS, network)
    loaded = load_judge_network(tmp_path)
    assert loaded.world is world
    seen = network.float()(pictures)
    assert all(torch.equal(seen[fact], values) for fact, values in loaded(pictures).items())


@pytest.mark.parametrize("meta", [{}, {"world": "planets"}], ids=["none", "unknown"])
def test_weights_without_a_known_world_are_refused_with_one_message(meta, tmp_path):
    save_tensors(tmp_path / WEIGHTS, JudgeNetwork(BADGES).state_dict(), meta)
    with pytest.raises(UserError, match="is not a judge of an embedded model: it names none of badges, signs"):
        load_judge_network(tmp_path)


def test_weights_that_do_not_fit_their_world_are_refused(tmp_path):
    save_tensors(tmp_path / WEIGHTS, {"body.0.weight": torch.zeros(3)}, {"world": SIGNS.name})
    with pytest.raises(UserError, match="does not fit a judge of the embedded model"):
        load_judge_network(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"\x80\x05\x95")
    with pytest.raises(UserError, match="not a readable safetensors"):
        load_judge_network(tmp_path)


def test_all_networks_together_fit_into_16_mb_of_half_precision():
    judges = 2 * size(JudgeNetwork(BADGES))
    together = (
        size(build_vae()) + size(build_unet()) + size(build_text_encoder(TOKENIZER)) + size(build_clip(TOKENIZER))
    )
    assert 2 * (together + judges) < 16


def test_the_noise_schedule_is_that_of_stable_diffusion():
    config = build_scheduler().config
    assert (config.beta_start, config.beta_end, config.beta_schedule) == (0.00085, 0.012, "scaled_linear")
    assert config.prediction_type == "epsilon" and config.num_train_timesteps == 1000
