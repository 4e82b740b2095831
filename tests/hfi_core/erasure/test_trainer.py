"""What removal learns from, and that it stands still where it should."""

from dataclasses import replace

import pytest
import torch
from scipy import stats

from hfi_core.compute.data_parallel import DataParallelGroup
from hfi_core.compute.seeding import torch_generator
from hfi_core.erasure import trainer
from hfi_core.erasure.rollouts import RollOuts, RolloutSettings, draw_beta
from hfi_core.erasure.sdd import unconditional_target
from hfi_core.erasure.targets import DistillationTarget, frozen_target, preservation_targets
from hfi_core.erasure.trainer import DistillationSettings, distill
from hfi_core.models.diffusion.loading import load_base_model
from hfi_core.params import Sampler
from tests.support.stopped import Stopped, stop_at

SETTINGS = DistillationSettings(steps=4, rate=3e-4, ema=0.5)
SAMPLER = Sampler(scheduler="ddim", steps=3, guidance=3)
SAMPLING = RolloutSettings(batch=3, sampler=SAMPLER, rollouts=2, reuse=2, concentration=3)


@pytest.fixture(scope="module")
def model(miniature, tmp_path_factory):
    from tests.support.projects import write_project

    params = write_project(tmp_path_factory.mktemp("trainer"), miniature).params
    return load_base_model(params.model, params.compute)


def make_target(model, prompt, anchor):
    return DistillationTarget(prompt, model.encode([prompt]), ((1.0, model.encode([anchor])),))


def learn(model, targets, target_noise, settings=SETTINGS, **options):
    rollouts = RollOuts(model, targets, SAMPLING, ("test",))
    return distill(model, rollouts, target_noise, settings, start=model.cross_attention(), **options)


@pytest.mark.parametrize("concentration", [1, 3, 8])
def test_timesteps_follow_a_symmetric_beta_law(concentration):
    draws = draw_beta(4000, concentration, torch_generator("beta")).numpy()
    assert stats.kstest(draws, stats.beta(concentration, concentration).cdf).pvalue > 0.01


def test_a_prompt_anchored_in_itself_stays_what_it_is(model):
    weights, losses = learn(model, [make_target(model, "a red badge", "a red badge")], frozen_target(model))
    assert losses.abs().max() < 1e-9
    assert all(torch.allclose(weights[name], value, atol=1e-6) for name, value in model.cross_attention().items())


def test_the_student_moves_towards_the_anchor(model):
    before = {name: value.clone() for name, value in model.cross_attention().items()}
    target = make_target(model, "a red badge", "a blue kite")
    weights, _ = learn(model, [target], frozen_target(model), replace(SETTINGS, steps=12))
    assert any(not torch.equal(weights[name], value) for name, value in before.items())
    assert all(torch.equal(model.cross_attention()[name], value) for name, value in before.items()), "base changed"
    x_t, t = torch.randn(16, *model.latent_shape, generator=torch_generator("points")), torch.full((16,), 500)
    with torch.no_grad():
        wanted = model.predict(x_t, t, target.anchors[0][1].expand(16, -1, -1))
        condition = target.conditions.expand(16, -1, -1)
        start, end = ((model.predict(x_t, t, condition, w) - wanted).square().mean() for w in (before, weights))
    assert end < start / 2


def test_the_teacher_is_the_average_of_the_students(model):
    start = {name: value.clone() for name, value in model.cross_attention().items()}
    weights, _ = learn(model, [make_target(model, "a red badge", "")], unconditional_target(model))
    assert set(weights) == set(start)
    assert all(".attn2." in name for name in weights)


def learn_long(model, **options):
    longer = replace(SETTINGS, steps=22)
    return learn(model, [make_target(model, "a red badge", "")], unconditional_target(model), longer, **options)


@pytest.fixture(scope="module")
def uninterrupted(model):
    """Weights and losses of a run that was not stopped."""
    return learn_long(model)


@pytest.mark.parametrize("stop", [7, 21])
def test_a_run_that_was_stopped_ends_in_the_same_bits(model, uninterrupted, tmp_path, stop):
    weights, losses = uninterrupted
    with pytest.raises(Stopped):
        learn_long(model, work=tmp_path, observe=stop_at(stop))
    assert (tmp_path / "distillation.safetensors").exists() == (stop >= 20)
    resumed, resumed_losses = learn_long(model, work=tmp_path)
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    assert torch.equal(losses, resumed_losses)


class Apart(DataParallelGroup):
    """One of several processes that do not wait for the others."""

    def mean(self, value):
        return value


@pytest.mark.parametrize("preserved", [[], ["a boat"]])
def test_the_losses_of_two_processes_average_to_that_of_one(model, monkeypatch, preserved):
    targets = [make_target(model, "a red badge", "a blue kite"), *preservation_targets(model, preserved)]
    once = replace(SETTINGS, steps=1)
    generator = torch_generator("changed")
    start = {n: v + 0.1 * torch.randn(v.shape, generator=generator) for n, v in model.cross_attention().items()}

    def loss(group):
        monkeypatch.setattr(trainer, "current_group", lambda: group)
        rollouts = RollOuts(model, targets, SAMPLING, ("test",))
        return float(distill(model, rollouts, frozen_target(model), once, start=start)[1])

    parts = [loss(Apart(rank, 2)) for rank in range(2)]
    assert sum(parts) / 2 == pytest.approx(loss(DataParallelGroup()), rel=1e-4)
