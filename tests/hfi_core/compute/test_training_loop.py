"""The one training loop: resumable to the same bits, with averages and schedules."""

import math
from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfi_core.compute.seeding import torch_generator
from hfi_core.compute.training_loop import Checkpoint, ParameterGroup, constant_rate, cosine_decay, fit
from hfi_core.errors import UserError
from tests.support.stopped import Stopped, stop_at

STEPS = 9


class Problem:
    """A small noisy regression with two learning rates, an average, and a tensor that the loss keeps."""

    def __init__(self):
        generator = torch_generator("problem")
        self.weight = torch.nn.Parameter(torch.randn(3, 5, generator=generator))
        self.bias = torch.nn.Parameter(torch.randn(3, generator=generator))
        self.idle = torch.nn.Parameter(torch.ones(2))
        self.average = {name: value.detach().clone() for name, value in self.named.items()}
        self.seen = torch.zeros(())

    @property
    def named(self):
        return {"weight": self.weight, "bias": self.bias}

    def loss(self, step):
        generator = torch_generator("data", step)
        x = torch.randn(4, 5, generator=generator)
        self.seen += x.mean()
        return (x @ self.weight.T + self.bias - self.seen).square().mean()

    def fit(self, steps=STEPS, stop=None, path=None, every=1, **options):
        return fit(
            [
                ParameterGroup({"weight": self.weight, "idle": self.idle}, 0.1),
                ParameterGroup({"bias": self.bias}, 0.01),
            ],
            self.loss,
            steps=steps,
            average=self.average,
            decay=0.9,
            state={"seen": self.seen},
            checkpoint=Checkpoint(path, every) if path else None,
            after_step=stop_at(stop),
            **options,
        )

    @property
    def bits(self):
        tensors = {"idle": self.idle, "seen": self.seen} | self.named
        tensors |= {f"average {k}": v for k, v in self.average.items()}
        return {name: value.detach().numpy().tobytes() for name, value in tensors.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(
    stops=st.lists(st.integers(0, STEPS - 1), max_size=3),
    every=st.integers(1, 4),
    schedule=st.sampled_from([constant_rate, cosine_decay]),
    scale=st.sampled_from([1.0, 1024.0]),
)
def test_a_fit_stopped_at_any_steps_goes_on_to_equal_bits(tmp_path_factory, stops, every, schedule, scale):
    path = tmp_path_factory.mktemp("fit") / "checkpoint"
    whole = Problem()
    history = whole.fit(schedule=schedule, scale=scale)
    for stop in sorted(stops):
        with suppress(Stopped):
            Problem().fit(stop=stop, path=path, every=every, schedule=schedule, scale=scale)
    resumed = Problem()
    assert torch.equal(resumed.fit(path=path, every=every, schedule=schedule, scale=scale), history)
    assert resumed.bits == whole.bits


def test_a_fit_goes_on_from_its_checkpoint_and_not_from_the_start(tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(Stopped):
        Problem().fit(stop=5, path=path, every=2)
    steps = []
    Problem().fit(path=path, every=2, observe=lambda step, _: steps.append(step))
    assert steps == list(range(4, STEPS))


def test_no_checkpoint_is_written_after_the_last_step(tmp_path):
    Problem().fit(steps=2, path=tmp_path / "checkpoint", every=2)
    assert not (tmp_path / "checkpoint").exists()


def test_the_average_follows_its_warmed_up_decay():
    problem = Problem()
    expected = {name: value.detach().clone() for name, value in problem.named.items()}

    def observe(step, values):
        keep = min(0.9, (1 + step) / (10 + step))
        for name, mean in expected.items():
            mean.mul_(keep).add_(problem.named[name].detach(), alpha=1 - keep)

    problem.fit(observe=observe)
    for name, mean in expected.items():
        torch.testing.assert_close(problem.average[name], mean)
        assert not torch.equal(mean, problem.named[name])


def test_a_fit_makes_the_loss_smaller_and_leaves_what_no_loss_reaches():
    problem = Problem()
    history = problem.fit(steps=200)
    assert history.shape == (200,)
    assert history[-20:].mean() < 0.25 * history[:20].mean()
    assert torch.equal(problem.idle, torch.ones(2))


def test_each_group_learns_at_its_own_rate_times_the_schedule():
    value = {name: torch.nn.Parameter(torch.zeros(1)) for name in "ab"}
    rates = []
    fit(
        [ParameterGroup({"a": value["a"]}, 0.1), ParameterGroup({"b": value["b"]}, 0.01)],
        lambda step: value["a"].sum() + value["b"].sum(),
        steps=4,
        schedule=cosine_decay,
        clip=None,
        observe=lambda step, values: rates.append(values["rate"]),
    )
    assert rates == pytest.approx([0.1 * cosine_decay(step, 4) for step in range(4)])
    # Adam's step under a constant gradient is the rate, so the two differ by the ratio of their rates.
    assert value["a"].item() / value["b"].item() == pytest.approx(10, rel=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda steps: st.tuples(st.integers(0, steps), st.just(steps))))
def test_the_cosine_falls_from_one_to_zero(place):
    step, steps = place
    assert cosine_decay(0, steps) == 1 and cosine_decay(steps, steps) == pytest.approx(0, abs=1e-12)
    assert cosine_decay(step, steps) == pytest.approx((1 + math.cos(math.pi * step / steps)) / 2, abs=1e-12)
    assert constant_rate(step, steps) == 1


def _descend(loss, steps=20, **options):
    weight = torch.nn.Parameter(torch.ones(2))
    fit(
        [ParameterGroup({"w": weight}, 0.25)],
        lambda step: loss(step, weight),
        name="The removal",
        steps=steps,
        **options,
    )
    return weight.detach()


@pytest.mark.parametrize("scale", [1.0, 4096.0])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_fit_and_says_where_and_what_to_do(scale, bad):
    with pytest.raises(UserError) as caught:
        _descend(lambda step, weight: weight.sum() * (bad if step == 6 else 1), scale=scale)
    message = str(caught.value)
    assert "The removal diverged at step 7 of 20" in message and str(bad) in message
    assert "learning rate" in message and "0.25" in message and "bfloat16" in message


@pytest.mark.parametrize("clip", [1.0, None])
def test_a_gradient_that_is_not_finite_ends_the_fit_though_the_loss_is(clip):
    with pytest.raises(UserError, match="diverged at step 4 of 20: the gradient is not finite"):
        _descend(
            lambda step, weight: (weight - weight.detach()).abs().sqrt().sum() if step == 3 else weight.sum(), clip=clip
        )


def _overflowing(*at):
    return lambda step, weight: weight.square().sum() * (1e36 if step in at else 1)


def test_in_half_precision_a_step_that_overflows_is_skipped_and_the_next_one_is_refused():
    skipped = _descend(_overflowing(3), scale=4096.0)
    assert skipped.isfinite().all() and not torch.equal(skipped, _descend(_overflowing(), scale=4096.0))
    with pytest.raises(UserError, match="diverged at step 12 of 20"):
        _descend(_overflowing(3, 11), scale=4096.0)


def test_a_fit_that_goes_on_knows_how_often_it_has_overflowed(tmp_path):
    def stop(step):
        if step == 7:
            raise Stopped

    with pytest.raises(Stopped):
        _descend(_overflowing(3, 11), scale=4096.0, checkpoint=Checkpoint(tmp_path / "c", 5), after_step=stop)
    with pytest.raises(UserError, match="diverged at step 12 of 20"):
        _descend(_overflowing(3, 11), scale=4096.0, checkpoint=Checkpoint(tmp_path / "c", 5))
