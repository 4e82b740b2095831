"""The closed forms of UCE and RECE are the minima of the published objectives, and remove what they are told to."""

import pytest
import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure import rece, uce
from hfi_core.erasure.methods import METHODS
from hfi_core.params import RECE, UCE
from hfi_core.progress import no_progress
from tests.support.projects import UCE_ROW


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator("uce", *shape), dtype=torch.float64)


def minimise(loss, start: torch.Tensor) -> torch.Tensor:
    """The minimum that a general optimiser finds, from a start elsewhere."""
    x = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x], max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-16, history_size=50, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        return value

    optimizer.step(closure)
    return x.detach()


@pytest.mark.parametrize(("erase", "preserve", "lamb"), [(1.0, 1.0, 0.5), (3.0, 0.1, 0.1), (1.0, 0.0, 0.01)])
def test_uce_is_the_minimum_that_an_optimiser_finds(erase, preserve, lamb):
    spec = UCE(method="uce", condition="text", erase_scale=erase, preserve_scale=preserve, lamb=lamb)
    erased, anchors, kept, w = draw(4, 6), draw(4, 6).flip(0) + 1, draw(3, 6), draw(5, 6)

    def published(v):
        """Section 4.1 of the paper, vector by vector, with the weights of the authors' code."""
        total = lamb * torch.linalg.matrix_norm(v - w) ** 2
        for c, guide in zip(erased, anchors, strict=True):
            total = total + erase * torch.linalg.vector_norm(v @ c - w @ guide) ** 2
        for p in kept:
            total = total + preserve * torch.linalg.vector_norm(v @ p - w @ p) ** 2
        return total

    solved, (before, after) = uce.solve({"w": w}, uce.ConceptEdit(erased, anchors, kept), spec)
    torch.testing.assert_close(solved["w"].double(), minimise(published, draw(5, 6) * 2), atol=1e-5, rtol=1e-5)
    assert before == pytest.approx(float(published(w))) and after == pytest.approx(
        float(published(solved["w"].double()))
    )


def test_uce_is_equation_7_of_the_paper():
    spec = UCE(method="uce", condition="text", lamb=0.25)
    erased, anchors, kept, w = draw(4, 6), draw(4, 6) + 2, draw(3, 6), draw(5, 6)
    left = 0.25 * w + sum(torch.outer(w @ a, c) for c, a in zip(erased, anchors, strict=True))
    right = 0.25 * torch.eye(6).double() + sum(torch.outer(c, c) for c in erased)
    left, right = left + sum(torch.outer(w @ p, p) for p in kept), right + sum(torch.outer(p, p) for p in kept)
    solved, _ = uce.solve({"w": w}, uce.ConceptEdit(erased, anchors, kept), spec)
    torch.testing.assert_close(solved["w"].double(), left @ torch.linalg.inv(right), atol=1e-5, rtol=1e-5)


def test_rece_derives_the_embedding_that_an_optimiser_finds():
    base, edited = ({f"{n}": draw(n, 6) * scale for n in (4, 5, 7)} for scale in (1.0, 0.6))
    edited = {name: value + 0.1 for name, value in edited.items()}
    c = draw(2, 6)

    def published(x):
        total = 0.3 * x.square().sum()
        for one, wanted in zip(x, c, strict=True):
            for name in base:
                total = total + torch.linalg.vector_norm(edited[name] @ one - base[name] @ wanted) ** 2
        return total

    derived = rece.derive(base, edited, c, 0.3)
    torch.testing.assert_close(derived, minimise(published, draw(2, 6) * 3), atol=1e-6, rtol=1e-6)


def test_each_round_of_rece_edits_the_weights_of_the_one_before_by_what_it_derives():
    spec = RECE(method="rece", condition="text", rounds=2, lamb=0.2, regularization=0.5)
    edit = uce.ConceptEdit(draw(4, 6), draw(4, 6) + 2, draw(3, 6))
    base = {"k": draw(5, 6), "v": draw(7, 6)}
    by_uce = UCE(method="uce", condition="text", lamb=0.2, preserve_scale=0.1)
    weights, _ = uce.solve(base, edit, by_uce)
    for _ in range(2):
        derived = rece.derive(base, weights, edit.erased, 0.5)
        weights, _ = uce.solve(weights, uce.ConceptEdit(derived, edit.anchors, edit.preserved), by_uce)
    *_, (last, _) = rece.edit_in_rounds(base, edit, spec)
    assert all(torch.equal(last[name], value) for name, value in weights.items())


def read(model, prompts, tokens=None):
    return model.text.unet_inputs(model.encode(prompts, tokens))[0].detach().flatten(0, 1)


def learn(spec, model, params, concepts):
    seen = []
    weights, losses = METHODS[spec.method](
        model, concepts, spec, params, key=(), work=None, before_step=lambda step, _: seen.append(step),
        progress=no_progress,
    )  # fmt: skip
    assert len(losses) == 2 * (len(seen) - 1) and all(
        after < before for before, after in zip(losses[::2], losses[1::2], strict=True)
    )
    assert weights.keys() == model.unet_parameters("cross-kv").keys()
    return weights


@pytest.mark.parametrize("condition", ["text", "token"])
def test_keys_and_values_of_both_concepts_go_to_the_anchor_and_preserved_ones_stay(
    small_model, small_params, concepts, condition
):
    row = {"condition": condition, "anchor": "boat", "preserved": ["a tree"], "preserve_scale": 10.0}
    weights = learn(UCE(**UCE_ROW | row), small_model, small_params, concepts)
    own = small_model.unet_parameters("cross-kv")
    name, token = next(iter(own)), {"text": "{}", "token": "<{}-objectionable>"}[condition]
    for concept in concepts:
        erased = read(small_model, [f"a red {token.format(concept.name)}"], concept.tokens)
        wanted = read(small_model, ["a red boat"]) @ own[name].T
        before, after = ((erased @ w[name].T - wanted).norm() for w in (own, weights))
        assert after < 0.6 * before, concept.name
    tree = read(small_model, ["a tree"])
    assert (tree @ (weights[name] - own[name]).T).norm() < 0.1 * (tree @ own[name].T).norm()


@pytest.mark.parametrize("condition", ["text", "token"])
def test_what_draws_the_concepts_again_after_uce_does_not_after_a_round_of_rece(
    small_model, small_params, concepts, condition
):
    own = small_model.unet_parameters("cross-kv")
    row = {"condition": condition, "lamb": 0.1, "preserve_scale": 0.1, "preserved": ["a tree"]}
    by_uce = learn(UCE(method="uce", **row), small_model, small_params, concepts)
    by_rece = learn(RECE(method="rece", rounds=1, **row), small_model, small_params, concepts)
    c = uce.make_edit(small_model, concepts, UCE(method="uce", condition=condition)).erased
    attack = rece.derive(own, by_uce, c, 0.1)

    def distance(x, weights):
        """How far the keys and values of embeddings are from those that the base has of the concepts."""
        pairs = [(weights[name].detach().double(), value.detach().double()) for name, value in own.items()]
        return float(sum((x @ new.T - c @ old.T).square().sum() for new, old in pairs))

    assert distance(attack, by_uce) < 0.5 * distance(c, by_uce), "it draws them again"
    assert distance(attack, by_rece) > 2 * distance(attack, by_uce)


def test_without_an_anchor_the_words_are_left_out(small_model, concepts):
    edit = uce.make_edit(small_model, concepts[:1], UCE(method="uce", condition="text"))
    torch.testing.assert_close(
        edit.erased.float(), read(small_model, ["badge", "a badge", "a red badge", "a blue badge"])
    )
    torch.testing.assert_close(edit.anchors.float(), read(small_model, ["", "a", "a red", "a blue"]))
    assert edit.preserved.shape == (0, edit.erased.shape[1])
