"""The solve finds the minimum of the objective that its docstring states, in keys and values alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.anchored import make_targets
from hfi_core.erasure.closed_form import solve
from hfi_core.erasure.targets import DistillationTarget, ErasureConcept
from hfi_core.erasure.words import WORDS, list_other_words
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.models.weights import digest_of_weights
from hfi_core.params import ClosedForm, Source
from tests.support.other_model import build_sdxl
from tests.support.projects import CLOSED_FORM, write_project

BLOCK = 8
MAPPED = (".attn2.to_k.weight", ".attn2.to_v.weight")


def spec(**changes) -> ClosedForm:
    return ClosedForm(**CLOSED_FORM | changes)


@pytest.fixture(scope="module")
def params(miniature, tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("closed-form"), miniature).params


@pytest.fixture(scope="module")
def model(params):
    return load_base_model(params.model, params.compute)


@pytest.fixture(scope="module")
def material(model, params):
    width = sum(model.text.widths)
    tokens = {
        f"<badge-{role}>": torch.randn(2, width, generator=torch_generator(role))
        for role in ("objectionable", "accepted")
    }
    return [ErasureConcept("badge", params.concepts["badge"], tokens, load_examples=list, load_judged=list)]


@pytest.fixture(scope="module")
def words(model, material):
    return list_other_words(model, material, WORDS)


def objective(model, taught: list[DistillationTarget], words, chosen: ClosedForm, weights) -> float:
    """The docstring's formula, written out projection by projection."""

    def read(conditions):
        return model.text.unet_inputs(conditions)[0].detach().flatten(0, 1).double()

    words = read(model.encode(words))
    pairs = [
        (
            read(target.conditions),
            sum(factor * read(anchor) for factor, anchor in target.anchors or ((1.0, target.conditions),)),
        )
        for target in taught
    ]
    square = sum(c.square().sum(1).mean() for c, _ in pairs) / len(pairs) + chosen.hold * words.square().sum(1).mean()
    total = 0.0
    for name, before in model.cross_attention().items():
        if not name.endswith(MAPPED):
            continue
        w, v = before.detach().double(), weights[name].detach().double()
        total += sum((c @ v.T - a @ w.T).square().sum(1).mean() for c, a in pairs) / len(pairs)
        total += chosen.hold * (words @ (v - w).T).square().sum(1).mean()
        total += chosen.ridge * square / w.shape[1] * (v - w).square().sum()
    return float(total)


@settings(max_examples=10, deadline=None)
@given(
    contrast=st.sampled_from([0.0, 0.5, 2.0]),
    hold=st.floats(0, 10),
    ridge=st.floats(1e-3, 10),
    seed=st.integers(0, 100),
)
def test_no_other_weights_have_a_lower_objective(model, material, words, contrast, hold, ridge, seed):
    chosen = spec(contrast=contrast, hold=hold, ridge=ridge)
    taught = make_targets(model, material, {}, contrast, preserve=True)
    weights, (before, after) = solve(model, taught, words, chosen, BLOCK)
    assert before == pytest.approx(objective(model, taught, words, chosen, model.cross_attention()), rel=1e-4)
    assert after == pytest.approx(objective(model, taught, words, chosen, weights), rel=1e-4)
    assert after < before
    generator = torch_generator("elsewhere", seed)
    elsewhere = {
        name: value + 0.1 * value.std() * torch.randn(value.shape, generator=generator)
        for name, value in weights.items()
    }
    assert objective(model, taught, words, chosen, elsewhere) > after


def test_no_word_of_the_concept_is_held(model, material, words):
    own = {"badge", "red", "blue"}  # of its text and prompts
    assert own < set(model.text.words(WORDS)) and own.isdisjoint(words)
    assert set(words) | own == set(model.text.words(WORDS))


def test_only_keys_and_values_change(model, material, words):
    weights, _ = solve(model, make_targets(model, material, {}, 1.0, True), words, spec(), BLOCK)
    own = model.cross_attention()
    assert weights.keys() == own.keys()
    for name, value in weights.items():
        assert torch.equal(value, own[name]) != name.endswith(MAPPED), name


def test_what_is_anchored_in_itself_changes_nothing(model, words):
    same = model.encode(["a badge", "a red badge"]).detach()
    weights, (before, after) = solve(
        model, [DistillationTarget("same", same, ((2.0, same), (-1.0, same)))], words, spec(), BLOCK
    )
    assert before == pytest.approx(0, abs=1e-6) and after == pytest.approx(0, abs=1e-6)
    assert all(torch.allclose(weights[name], value, atol=1e-5) for name, value in model.cross_attention().items())


def test_the_size_of_a_block_changes_nothing_but_rounding(model, material, words):
    taught = make_targets(model, material, {}, 1.0, True)
    first, other = (solve(model, taught, words, spec(), block)[0] for block in (3, 64))
    assert all(torch.allclose(first[name], other[name], atol=1e-4) for name in first)


def test_two_encoders_are_mapped_by_what_attention_reads_of_them(params, tmp_path):
    folder = build_sdxl(tmp_path / "sdxl")
    model = load_base_model(Source(source=str(folder), revision=None, digest=digest_of_weights(folder)), params.compute)
    conditions, anchors = (model.encode([prompt]).detach() for prompt in ("a knife", "a spoon"))
    taught = [DistillationTarget("text", conditions, ((1.0, anchors),))]
    weights, (before, after) = solve(model, taught, ["boat"], spec(hold=0.0, ridge=1e-6), BLOCK)
    assert after < 0.01 * before
    attended, wanted = (model.text.unet_inputs(rows)[0] for rows in (conditions, anchors))
    for name, value in model.cross_attention().items():
        if name.endswith(MAPPED):
            off = (attended @ weights[name].T - wanted @ value.T).norm()
            assert off < 0.1 * (attended @ value.T - wanted @ value.T).norm(), name
