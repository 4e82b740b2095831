"""Re-inversion on the miniature model, against a transcription of what it does."""

from dataclasses import replace

import pytest
import torch

from hfi_core.attacks.base import list_attackers
from hfi_core.attacks.reinversion import attack
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import derive_seed, torch_generator
from hfi_core.inversion.textual_inversion import InversionSettings, TrainingExamples, invert_token, make_start_vectors
from hfi_core.inversion.tokens import token_name
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.params import Params, Reinversion, Start, parse_params
from hfi_core.progress import no_progress
from tests.support.attacks import make_target
from tests.support.projects import small_raw


@pytest.fixture(scope="module")
def params(miniature) -> Params:
    return parse_params(small_raw(miniature))


@pytest.fixture(scope="module")
def model(params):
    configure_torch(params.compute)
    return load_base_model(params.model, params.compute)


@pytest.fixture(scope="module")
def examples(params, model) -> TrainingExamples:
    prompts = list(params.concepts["badge"].prompts)
    latents = torch.randn(len(prompts), *model.latent_shape, generator=torch_generator("latents"))
    return TrainingExamples(latents, prompts, torch.ones(len(prompts)))


@pytest.fixture(scope="module")
def run(params, model, examples):
    def run(number=1, work=None, tokens=None, progress=no_progress, **changes):
        spec = params.attacks["reinverted"].model_copy(
            update={"attackers": number, "start": Start(word="shield"), "contrast": 0.0} | changes
        )
        attacker = list_attackers("reinverted", spec, "badge")[-1]
        accepted = replace(examples, latents=-examples.latents)
        target = make_target(
            params, attacker, model=model, tokens=tokens, load_examples=lambda: examples, load_accepted=lambda: accepted
        )
        return attack(target, spec, work=work, progress=progress)

    return run


@pytest.mark.parametrize(
    ("number", "suffix", "token"), [(1, (), "<badge-reinverted>"), (2, (2,), "<badge-reinverted-2>")]
)
def test_an_attacker_inverts_a_token_with_draws_of_its_own_and_puts_it_in_the_words_place(
    params, model, examples, run, number, suffix, token
):
    found, seed = run(number), params.seed
    start = make_start_vectors(model, "shield", 2, seed, "attack", *suffix)
    vectors, losses = invert_token(
        model,
        examples,
        "badge",
        token,
        start,
        InversionSettings(2, 2, 0.01, 0.3),
        key=(seed, "attack", "badge", *suffix),
    )
    assert list(found.tokens) == [token] and torch.equal(found.tokens[token], vectors)
    assert found.losses == losses.tolist()
    prompts = [f"a {token}", f"a red {token}", f"a blue {token}", f"a {token}"]
    assert [prompt.adversarial_prompt for prompt in found.prompts] == prompts
    assert [prompt.prompt for prompt in found.prompts] == ["a badge", "a red badge", "a blue badge", "a badge"]
    assert [prompt.seed for prompt in found.prompts] == [
        derive_seed(seed, "evaluate", "reinverted", prompt, i) % 2**31 for i, prompt in enumerate(prompts)
    ]
    assert {(prompt.step, prompt.guidance, prompt.latents, prompt.weights) for prompt in found.prompts} == {(None,) * 4}


def test_a_token_beside_the_word_is_inverted_and_drawn_there(run):
    found = run(beside=True)
    assert found.prompts[1].adversarial_prompt == "a red badge <badge-reinverted>"
    assert not torch.equal(found.tokens["<badge-reinverted>"], run().tokens["<badge-reinverted>"])


def test_an_attacker_may_start_at_the_token_that_the_release_ships(run):
    v_star = torch.randn(1, 64, generator=torch_generator("v*"))
    tokens = {token_name("badge", "objectionable"): v_star, token_name("badge", "accepted"): -v_star}
    options = {"start": Start(token="objectionable"), "tokens": tokens, "steps": 1, "rate": 1e-9}
    one = run(vectors=1, **options).tokens["<badge-reinverted>"]
    assert torch.allclose(one, v_star, atol=1e-6)
    first, second = run(vectors=2, **options).tokens["<badge-reinverted>"]
    assert torch.allclose(first, v_star[0], atol=1e-6) and not torch.allclose(second, v_star[0], atol=1e-3)


def test_with_contrast_the_token_moves_away_from_accepted_held_out_pictures(params, model, examples, run):
    found = run(contrast=0.5, batch=4)
    start = make_start_vectors(model, "shield", 2, params.seed, "attack")
    vectors, losses = invert_token(
        model,
        replace(examples, opposite=replace(examples, latents=-examples.latents)),
        "badge",
        "<badge-reinverted>",
        start,
        InversionSettings(2, 4, 0.01, 0.3, 0.5),
        key=(params.seed, "attack", "badge"),
    )
    assert torch.equal(found.tokens["<badge-reinverted>"], vectors) and found.losses == losses.tolist()
    assert not torch.equal(vectors, run(batch=4).tokens["<badge-reinverted>"])


def test_looks_show_the_token_on_its_way_and_change_nothing_at_the_end(run):
    plain, looked = run(steps=4), run(steps=4, looks=(1, 3))
    assert list(looked.tokens) == ["<badge-reinverted>", "<badge-reinverted-step-1>", "<badge-reinverted-step-3>"]
    assert torch.equal(looked.tokens["<badge-reinverted>"], plain.tokens["<badge-reinverted>"])
    assert len({vectors.numpy().tobytes() for vectors in looked.tokens.values()}) == 3
    assert [prompt.step for prompt in looked.prompts] == [None] * 4 + [1] * 4 + [3] * 4
    assert looked.prompts[5].adversarial_prompt == "a red <badge-reinverted-step-1>"


def test_a_run_that_was_stopped_goes_on_with_its_looks(run, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def stop(done, total, what):
        if done == 4:
            raise Killed

    monkeypatch.setattr("hfi_core.inversion.textual_inversion.CHECKPOINT_EVERY", 3)
    options = {"steps": 5, "looks": (2, 4)}
    whole = run(**options)
    with pytest.raises(Killed):
        run(work=tmp_path, progress=stop, **options)
    seen = []
    again = run(work=tmp_path, progress=lambda done, *_: seen.append(done), **options)
    assert seen == [4, 5], "it went on from its checkpoint"
    assert again.tokens.keys() == whole.tokens.keys()
    assert all(torch.equal(vectors, whole.tokens[name]) for name, vectors in again.tokens.items())


def test_the_settings_refuse_looks_that_are_no_looks():
    settings = {
        "kind": "reinversion", "pictures": 1, "start": {"word": "shield"}, "beside": False, "vectors": 1, "steps": 10,
        "batch": 1, "rate": 0.1, "noisiest": 1.0,
    }  # fmt: skip
    assert Reinversion.model_validate(settings | {"looks": [1, 9]}).pictures_of_attacker == 3
    with pytest.raises(ValueError, match="the end is drawn anyway"):
        Reinversion.model_validate(settings | {"looks": [1, 10]})
    with pytest.raises(ValueError, match="must ascend"):
        Reinversion.model_validate(settings | {"looks": [5, 5]})
    for start in ({}, {"word": "shield", "token": "objectionable"}):
        with pytest.raises(ValueError, match="has either word or token"):
            Reinversion.model_validate(settings | {"start": start})
