"""Soft tokens stand in prompts as diffusers' own textual inversion lays them out."""

import pytest
import torch

from hfi_core.errors import UserError
from hfi_core.inversion.tokens import save_token, token_name
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import Source
from tests.support.other_model import build_sdxl

NAME = token_name("badge", "objectionable")


@pytest.fixture(scope="module")
def model(miniature, tmp_path_factory):
    from tests.support.projects import write_project

    params = write_project(tmp_path_factory.mktemp("encoding"), miniature).params
    return load_base_model(params.model, params.compute)


@pytest.mark.parametrize("prompt", [f"a red {NAME}, night", NAME, f"{NAME} and {NAME}"])
@pytest.mark.parametrize("vectors", [1, 3])
def test_the_saved_token_means_the_same_to_diffusers(model, miniature, tmp_path, prompt, vectors):
    from diffusers import StableDiffusionPipeline

    token = torch.randn(vectors, 64, generator=torch.Generator().manual_seed(1))
    save_token(tmp_path, NAME, token)
    pipe = StableDiffusionPipeline.from_pretrained(miniature / "pipeline", dtype=torch.float32, safety_checker=None)
    pipe.load_textual_inversion(str(tmp_path))
    theirs, _ = pipe.encode_prompt(prompt, "cpu", 1, False)
    assert torch.equal(model.encode([prompt], {NAME: token}), theirs)


def test_a_prompt_without_tokens_is_encoded_as_diffusers_encodes_it(model, miniature):
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(miniature / "pipeline", dtype=torch.float32, safety_checker=None)
    for prompt in ("", "a red badge", "words that this tokenizer has to spell letter by letter"):
        assert torch.equal(model.encode([prompt]), pipe.encode_prompt(prompt, "cpu", 1, False)[0])


def test_gradients_reach_the_vectors_and_nothing_else(model):
    luck = torch.Generator().manual_seed(1)
    token = torch.nn.Parameter(torch.randn(2, 64, generator=luck))
    encoded = model.encode([f"a {NAME}"], {NAME: token})
    # Weighted at random: what a layer norm gives sums to nearly the same whatever comes in.
    (encoded * torch.randn(encoded.shape, generator=luck)).sum().backward()
    assert (token.grad.abs().sum(dim=1) > 1e-3).all()
    assert all(p.grad is None for p in model.text.encoder.parameters())


def test_a_token_that_does_not_fit_is_refused(model):
    with pytest.raises(UserError, match="too long for its soft tokens"):
        model.encode([f"a {NAME}"], {NAME: torch.zeros(30, 64)})


def test_an_initial_word_without_a_token_is_refused(model):
    with pytest.raises(UserError, match="initial word"):
        model.text.word_embedding("  ")


@pytest.mark.parametrize(
    ("prompt", "unread"),
    [("", ""), ("a badge", ""), ("badge " * 18, ""), ("badge " * 18 + "red", "red"), (f"{NAME} " * 9 + "red", "red")],
)
def test_the_end_of_a_prompt_that_is_not_read_is_known(model, prompt, unread):
    token = torch.randn(2, 64)
    assert model.text.unread_end(prompt, {NAME: token}) == unread
    assert torch.equal(
        model.encode([prompt], {NAME: token}), model.encode([prompt.removesuffix("red")], {NAME: token})
    ), "what is not read changes nothing"


def test_of_two_encoders_the_longer_end_counts(project, tmp_path):
    base = build_sdxl(tmp_path / "base")
    source = Source(source=str(base), revision=None, digest=digest_of_weights(base))
    text = load_base_model(source, project.params.compute).text
    assert text.unread_end("a knife", {}) == ""
    text.tokenizers[1].model_max_length = 4
    assert text.unread_end("knife knife knife knife", {}) == "knife knife"
