"""Which anchor a roll-out gets, where a condition has several."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure.anchored import anchor_prompts, make_targets, word_targets
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings, anchor_errors, assign_evenly
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
def test_an_anchor_s_error_is_that_of_its_estimate_of_the_noise(small_model, kind, seed, noisy):
    alpha_bar = small_model.schedule.alpha_bar
    model = replace(small_model, schedule=NoiseSchedule(alpha_bar, kind))
    anchors, generator = make_target(model).anchors[0][1], torch_generator(seed)
    x_0, x_t = (torch.randn((3, *model.latent_shape), generator=generator) for _ in range(2))
    rows, t = torch.tensor([[0, 3], [1, 4], [5, -1]]), torch.tensor(int(noisy * len(alpha_bar)))
    errors = anchor_errors(model, anchors, rows, x_t, t, x_0)
    assert errors[2, 1] == torch.inf
    for i, k in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]:
        noise = (x_t[i] - alpha_bar[t].sqrt() * x_0[i]) / (1 - alpha_bar[t]).sqrt()
        with torch.no_grad():
            estimate = model.predict(x_t[[i]], t.view(1), anchors[rows[i, k]][None])[0]
        torch.testing.assert_close(errors[i, k], (estimate - noise).square().mean(), rtol=1e-4, atol=1e-6)


@given(
    errors=st.integers(1, 3).flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 50), min_size=k, max_size=k), min_size=1, max_size=5)
    )
)
def test_anchors_are_assigned_equally_often_at_the_least_sum_of_errors(errors):
    table = torch.tensor(errors, dtype=torch.float32)
    count, width = table.shape
    most = -(-count // width)
    allowed = [
        each for each in product(range(width), repeat=count) if all(each.count(column) <= most for column in each)
    ]
    chosen = assign_evenly(table).tolist()
    assert tuple(chosen) in allowed
    assert table[range(count), chosen].sum() == min(table[range(count), each].sum() for each in allowed)


def test_a_line_with_one_anchor_gets_it_and_takes_no_other_s_place():
    lines = torch.tensor([[1.0, torch.inf], [1.0, torch.inf], [1.0, 2.0], [1.0, 5.0]])
    assert assign_evenly(lines).tolist() == [0, 0, 1, 0]


def test_a_roll_out_keeps_its_condition_and_an_only_row_its_anchor(small_model):
    points = RollOuts(small_model, [make_target(small_model)], SAMPLING, ("kept",)).draw(0, {})[0]
    only = replace(make_target(small_model), alternatives=torch.arange(6))
    alone, none = (
        RollOuts(small_model, [target], SAMPLING, ("kept",)).draw(0, {})[0]
        for target in (only, replace(only, alternatives=None))
    )
    assert torch.equal(alone.prompt, none.prompt)
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
