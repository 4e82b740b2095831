"""A model of SDXL's shape means the same to us as to diffusers."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from hfi_core.errors import UserError
from hfi_core.inversion.tokens import FILE, load_tokens, save_token, token_name
from hfi_core.io.tensors import load_tensors
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.diffusion.sampling import SampleRequest, draw_initial_noise, draw_pictures
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Source
from tests.support.other_model import SIDE, build_sdxl

NAME = token_name("knife", "objectionable")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_sdxl(tmp_path_factory.mktemp("sdxl"))


@pytest.fixture
def load(project):
    def load(folder, **compute):
        source = Source(source=str(folder), revision=None, digest=digest_of_weights(folder))
        return load_base_model(source, project.params.compute.model_copy(update=compute))

    return load


@pytest.fixture
def theirs(folder):
    pipe = StableDiffusionXLPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _packed(pipe, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
    hidden, _, pooled, _ = pipe.encode_prompt(prompt, do_classifier_free_guidance=False)
    return hidden, pooled


@pytest.mark.parametrize("prompt", ["a knife", "words that are spelt letter by letter"])
def test_a_prompt_is_encoded_as_diffusers_encodes_it(load, folder, theirs, prompt):
    model = load(folder)
    attended, more = model.text.unet_inputs(model.encode([prompt]))
    hidden, pooled = _packed(theirs, prompt)
    assert torch.equal(attended, hidden)
    assert torch.equal(more["added_cond_kwargs"]["text_embeds"], pooled)
    assert more["added_cond_kwargs"]["time_ids"].tolist() == [[SIDE, SIDE, 0, 0, SIDE, SIDE]]


def test_the_empty_prompt_is_zeros_where_the_pipeline_says_so(load, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    index = json.loads((other / "model_index.json").read_text())
    for value in (True, False, None):
        index["force_zeros_for_empty_prompt"] = value
        if value is None:
            del index["force_zeros_for_empty_prompt"]
        (other / "model_index.json").write_text(json.dumps(index))
        theirs = StableDiffusionXLPipeline.from_pretrained(other, dtype=torch.float32)
        _, hidden, _, pooled = theirs.encode_prompt("a knife", do_classifier_free_guidance=True)
        model = load(other)
        attended, more = model.text.unet_inputs(model.encode([""]))
        assert torch.equal(attended, hidden)
        assert torch.equal(more["added_cond_kwargs"]["text_embeds"], pooled)
        assert bool(attended.any()) == (value is False)


@pytest.fixture(params=[None, 2], ids=["", "old configuration"])
def of_any_age(request, folder, tmp_path):
    """The folder; as real copies of SDXL have it, the second encoder's configuration says 2 for the end token."""
    if request.param is None:
        return folder
    other = shutil.copytree(folder, tmp_path / "old")
    config = json.loads((other / "text_encoder_2/config.json").read_text()) | {"eos_token_id": request.param}
    (other / "text_encoder_2/config.json").write_text(json.dumps(config))
    return other


@pytest.mark.parametrize("vectors", [1, 3])
def test_the_saved_tokens_mean_the_same_to_diffusers(load, of_any_age, tmp_path, vectors):
    theirs = StableDiffusionXLPipeline.from_pretrained(of_any_age, dtype=torch.float32)
    model, generator = load(of_any_age), torch.Generator().manual_seed(1)
    tokens = {}
    for name in (NAME, token_name("knife", "accepted")):
        tokens[name] = torch.randn(vectors, sum(model.text.widths), generator=generator)
        save_token(tmp_path, name, tokens[name], model.text.widths)
        assert torch.equal(load_tokens(tmp_path)[name], tokens[name])
        parts, _ = load_tensors(tmp_path / FILE)
        theirs.load_textual_inversion(parts["clip_l"], name, theirs.tokenizer, theirs.text_encoder)
        theirs.load_textual_inversion(parts["clip_g"], name, theirs.tokenizer_2, theirs.text_encoder_2)
        (tmp_path / FILE).unlink()
    first, second = tokens
    for prompt in (f"a {first}, night", f"{second} and {first}", f"{first} and {second}", "a knife"):
        attended, more = model.text.unet_inputs(model.encode([prompt], tokens))
        hidden, pooled = _packed(theirs, prompt)
        assert torch.equal(attended, hidden)
        assert torch.equal(more["added_cond_kwargs"]["text_embeds"], pooled)


def test_pictures_are_those_that_diffusers_draws(load, folder, theirs, project):
    model, sampler = load(folder), project.params.sampler.model_copy(update={"scheduler": "ddim", "steps": 4})
    ((_, ours),) = draw_pictures(model, [SampleRequest("a knife", 7)], sampler, block=1)
    drawn = theirs(
        "a knife", latents=draw_initial_noise(model, [7]), num_inference_steps=4, guidance_scale=sampler.guidance,
        height=SIDE, width=SIDE,
    ).images[0]  # fmt: skip
    assert np.abs(ours.astype(int) - np.asarray(drawn)).max() <= 1


def test_gradients_reach_a_token_s_both_parts(load, folder):
    model = load(folder)
    token = torch.nn.Parameter(torch.randn(2, sum(model.text.widths)))
    condition = model.encode([f"a {NAME}"], {NAME: token})
    x_t = torch.randn(1, *model.latent_shape)
    model.predict(x_t, torch.tensor([50]), condition, model.cross_attention()).square().sum().backward()
    assert all(part.abs().sum() > 0 for part in torch.split(token.grad, model.text.widths, dim=1))


def test_half_precision_decodes_in_single_precision_as_diffusers_does(load, folder):
    model = load(folder, dtype="float16")
    assert model.unet.dtype == torch.float16 and model.vae.dtype == torch.float32


def test_a_unet_of_another_family_is_refused(load, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    index = json.loads((other / "model_index.json").read_text())
    index |= {"text_encoder_2": [None, None], "tokenizer_2": [None, None]}
    (other / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="text_encoder_2 is "):
        load(other)
    index |= {"_class_name": "StableDiffusionPipeline"}
    (other / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="addition_embed_type is 'text_time'"):
        load(other)
