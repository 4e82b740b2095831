"""ESD learns the published target, trains what its variant names, and moves the concept to the other side."""

import pytest
import torch

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure import esd
from hfi_core.erasure.methods import METHODS
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings
from hfi_core.erasure.targets import frozen_target, preservation_targets
from hfi_core.erasure.trainer import DistillationSettings, distill
from hfi_core.errors import UserError
from hfi_core.params import ESD, Sampler, parse_params
from hfi_core.progress import no_progress
from tests.support.projects import ESD_ROW, default_raw

SAMPLER = Sampler(scheduler="ddim", steps=3, guidance=3)
SAMPLING = RolloutSettings(batch=2, sampler=SAMPLER, rollouts=2, reuse=1, concentration=1)


def squared(model, error, t):
    """|| error ||^2 as a mean; of a model that predicts v, in v: an error of eps is sqrt(alpha_bar) times that of v."""
    scale = 1 if model.schedule.prediction_type == "epsilon" else model.schedule.alpha_bar[t].reshape(-1, 1, 1, 1)
    return (error.square() / scale).mean()


def published_loss(model, student, points, conditions, eta):
    """Section 4 of the paper, written out: || eps_student(c) - (eps(c0) - eta (eps(c) - eps(c0))) ||^2."""
    c = conditions[points.prompt]
    c0 = model.encode([""]).expand_as(c)
    with torch.no_grad():
        eps_c = model.predict(points.x_t, points.t, c)
        eps_0 = model.predict(points.x_t, points.t, c0)
        learned = model.predict(points.x_t, points.t, c, student)
        return squared(model, learned - (eps_0 - eta * (eps_c - eps_0)), points.t)


def kept_loss(model, student, points, conditions):
    with torch.no_grad():
        own, learned = (
            model.predict(points.x_t, points.t, conditions[points.prompt], weights) for weights in (None, student)
        )
    return squared(model, learned - own, points.t)


@pytest.mark.parametrize("condition", ["text", "token"])
@pytest.mark.parametrize("eta", [1.0, 3.0])
def test_the_loss_is_the_published_one_summed_over_concepts_and_preserved_prompts(
    eps_or_v_model, concepts, condition, eta
):
    model = eps_or_v_model
    targets = esd.make_targets(model, concepts, condition, eta)
    targets += preservation_targets(model, ["a boat", "a tree"])
    generator = torch_generator("student")
    start = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in model.cross_attention().items()
    }
    with torch.no_grad():
        points = RollOuts(model, targets, SAMPLING, ("esd",)).draw(0, start)
    _, losses = distill(
        model, RollOuts(model, targets, SAMPLING, ("esd",)), frozen_target(model),
        DistillationSettings(steps=1, rate=1e-6, ema=0.0), start=start,
    )  # fmt: skip
    texts = {
        "text": [["a badge", "a red badge", "a blue badge"], ["a kite", "a red kite"]],
        "token": [
            ["a <badge-objectionable>", "a red <badge-objectionable>", "a blue <badge-objectionable>"],
            ["a <kite-objectionable>", "a red <kite-objectionable>"],
        ],
    }[condition]
    conditions = [model.encode(prompts, one.tokens) for prompts, one in zip(texts, concepts, strict=True)]
    expected = sum(
        published_loss(model, start, at, c, eta) for at, c in zip(points[:2], conditions, strict=True)
    ) + kept_loss(model, start, points[2], model.encode(["a boat", "a tree"]))
    assert float(losses[0]) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("condition", ["text", "token"])
def test_the_concept_moves_to_its_target_and_preserved_prompts_stay_nearer(
    small_model, small_params, concepts, condition
):
    model, eta = small_model, 1.0
    row = {"condition": condition, "steps": 12, "rate": 1e-3, "ema": 0.0, "batch": 4, "rollouts": 4}
    spec = ESD(**ESD_ROW | row | {"negative_guidance": eta, "preserved": ["a boat"]})
    weights, losses = METHODS["esd"](
        model, concepts[:1], spec, small_params, key=("test",), work=None,
        before_step=lambda step, teacher: None, progress=no_progress,
    )  # fmt: skip
    (target,) = esd.make_targets(model, concepts[:1], condition, eta)
    points = RollOuts(model, [target], SAMPLING, ("elsewhere",)).draw(0, {})[0]
    before, after = (published_loss(model, given, points, target.conditions, eta) for given in (None, weights))
    assert after < before / 2
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize(("variant", "learns"), [("x", "cross"), ("u", "all-but-cross"), ("x-strict", "cross-kv")])
def test_a_variant_is_its_set_of_parameters_and_another_set_is_refused(variant, learns):
    plain = {key: value for key, value in ESD_ROW.items() if key != "variant"}
    row = ESD(**plain, variant=variant)
    assert row.learns == learns and ESD(**row.model_dump()) == row
    raw = default_raw()
    raw["removals"]["esd"] = plain | {"variant": variant, "learns": "all"}
    with pytest.raises(UserError, match=f"removals.esd: variant {variant} means learns: {learns}, and learns is all"):
        parse_params(raw)
