"""Which conditions the anchored removal teaches, and what it pulls each one to."""

import pytest
import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.adversarial_tokens import FoundToken
from hfi_core.erasure.anchored import make_targets
from hfi_core.erasure.targets import ErasureConcept, frozen_target
from hfi_core.models.diffusion.loading import load_base_model

FOUND = "<badge-round-2>"


@pytest.fixture(scope="module")
def taught(miniature, tmp_path_factory):
    """The model and a function from contrast and preserve to the targets by name."""
    from tests.support.projects import write_project

    params = write_project(tmp_path_factory.mktemp("anchored"), miniature).params
    model = load_base_model(params.model, params.compute)
    width = model.encode([""]).shape[-1]
    drawn = {
        name: torch.randn(2, width, generator=torch_generator(name))
        for name in ("<badge-objectionable>", "<badge-accepted>", FOUND)
    }
    found = {"badge": [FoundToken(FOUND, drawn.pop(FOUND))]}
    material = [ErasureConcept("badge", params.concepts["badge"], drawn, load_examples=list, load_judged=list)]
    return model, lambda contrast, preserve: {
        target.name: target for target in make_targets(model, material, found, contrast, preserve)
    }


def target_noise_of(model, target):
    """The target noise at one noisy point under the target's first condition, and the base's own estimate there."""
    x_t, t = torch.randn(1, *model.latent_shape, generator=torch_generator("point")), torch.tensor([400])
    with torch.no_grad():
        own = ((1.0, target.conditions),)  # without anchors, what it is
        parts = [factor * frozen_target(model)(None, x_t, t, anchor[:1]) for factor, anchor in target.anchors or own]
        return sum(parts), model.predict(x_t, t, target.conditions[:1])


def test_the_text_the_token_and_what_was_found_again_are_all_pulled_to_one_anchor(taught):
    model, teach = taught
    every = teach(0.5, False)
    assert list(every) == ["badge text", "badge <badge-objectionable>", f"badge {FOUND}"]
    first, *others = (target_noise_of(model, target)[0] for target in every.values())
    assert all(torch.equal(first, other) for other in others)


def test_contrast_moves_the_anchor_away_from_what_people_object_to(taught):
    model, teach = taught
    plain, pushed = (target_noise_of(model, teach(contrast, False)["badge text"])[0] for contrast in (0.0, 0.5))
    objectionable = target_noise_of(model, teach(0.0, False)["badge <badge-objectionable>"])[1]
    assert (pushed - objectionable).norm() == pytest.approx(1.5 * float((plain - objectionable).norm()), rel=1e-3)


@pytest.mark.parametrize("contrast", [0.0, 0.5])
def test_what_is_preserved_is_pulled_to_the_base_s_own_estimate(taught, contrast):
    model, teach = taught
    noise, own = target_noise_of(model, teach(contrast, True)["preserved"])
    assert torch.allclose(noise, own, atol=1e-5)


def test_preserved_are_the_empty_prompt_and_the_prompts_without_the_concept(taught):
    model, teach = taught
    expected = model.encode(["", "a", "a blue", "a red"])
    assert torch.equal(teach(0.5, True)["preserved"].conditions, expected)
