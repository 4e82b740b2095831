"""Which anchor a roll-out gets, where a condition has several."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.anchored import anchor_prompts, make_targets, word_targets
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings, choose_anchors
from hfi_core.erasure.targets import DistillationTarget
from hfi_core.erasure.words import ChosenWords
from hfi_core.models.diffusion.schedule import PREDICTION_TYPES, NoiseSchedule
from hfi_core.params import Sampler, parse_params
from tests.support.projects import ANCHORED_ROW, default_raw

SAMPLING = RolloutSettings(
    batch=4, sampler=Sampler(scheduler="ddim", steps=3, guidance=1), rollouts=4, reuse=2, concentration=1
)
PROMPTS = ["a badge", "a red badge", "a blue badge"]


def make_target(model, alternatives=(0, 1, 2, 0, 1, 2)) -> DistillationTarget:
    anchors = model.encode(["a star", "a red star", "a blue star", "a leaf", "a red leaf", "a blue leaf"])
    conditions = model.encode(PROMPTS * 2)
    return DistillationTarget("badge", conditions, ((1.0, anchors),), torch.tensor(alternatives))


def anchored_row(**changes):
    raw = default_raw()
    raw["removals"]["anchored"] = ANCHORED_ROW | changes
    return parse_params(raw).removals["anchored"]


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
@given(seed=st.integers(0, 10_000), noisy=st.floats(0.01, 0.99))
@settings(max_examples=10)
def test_the_anchor_whose_estimate_is_nearest_to_the_noise_is_chosen(small_model, kind, seed, noisy):
    alpha_bar = small_model.schedule.alpha_bar
    model = replace(small_model, schedule=NoiseSchedule(alpha_bar, kind))
    target, generator = make_target(model), torch_generator(seed)
    x_0, x_t = (torch.randn((4, *model.latent_shape), generator=generator) for _ in range(2))
    rows, t = torch.randint(0, 6, (4,), generator=generator), torch.tensor(int(noisy * len(alpha_bar)))
    chosen = choose_anchors(model, target, rows, x_t, t, x_0).tolist()
    for i, row in enumerate(rows.tolist()):
        noise = (x_t[i] - alpha_bar[t].sqrt() * x_0[i]) / (1 - alpha_bar[t]).sqrt()
        errors = {}
        for other in (row % 3, row % 3 + 3):
            with torch.no_grad():
                estimate = model.predict(x_t[[i]], t.view(1), target.anchors[0][1][[other]])[0]
            errors[other] = (estimate - noise).square().mean().item()
        assert errors[chosen[i]] <= min(errors.values()) * (1 + 1e-4)


def test_a_roll_out_keeps_its_condition_and_an_only_row_its_anchor(small_model):
    target = make_target(small_model, (0, 1, 2, 3, 4, 5))
    x = torch.randn((6, *small_model.latent_shape), generator=torch_generator("alone"))
    assert choose_anchors(small_model, target, torch.arange(6), x, torch.tensor(100), -x).tolist() == list(range(6))
    points = RollOuts(small_model, [make_target(small_model)], SAMPLING, ("kept",)).draw(0, {})[0]
    alone = RollOuts(
        small_model, [make_target(small_model, (0, 1, 2, 3, 4, 5))], SAMPLING, ("kept",)
    ).draw(0, {})[0]  # fmt: skip
    assert torch.equal(points.x_t, alone.x_t) and torch.equal(points.prompt % 3, alone.prompt % 3)
    assert torch.equal(points.conditions[points.prompt], alone.conditions[alone.prompt])


def test_rows_of_one_number_have_one_condition_and_different_anchors(small_model, concepts):
    badge = concepts[0]
    anchors_of = anchor_prompts(anchored_row(anchor="both", anchor_words=["with a star", "with a leaf"]))
    chosen = ChosenWords({"badge": ["skull", "bones"]}, [])
    targets = make_targets(small_model, [badge], {}, 0.5, False, anchors_of=anchors_of)
    targets += word_targets(small_model, [badge], chosen, 0.5, anchors_of)
    for target in targets:
        assert len(target.alternatives) == len(target.conditions)
        for number in set(target.alternatives.tolist()):
            own = target.alternatives == number
            assert (target.conditions[own] - target.conditions[own][0]).abs().max() < 1e-5
            # u* stands twice, so that it counts as much as the two phrases.
            assert len(target.anchors[0][1][own].unique(dim=0)) == (3 if own.sum() == 4 else 1)
    assert [int((targets[-1].alternatives == number).sum()) for number in (0, 5, 6, 11)] == [1, 1, 4, 4]
    assert all(one.alternatives is None for one in make_targets(small_model, [badge], {}, 0.5, True))
