"""Intervals over prompts and seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from hfi_core.metrics.intervals import (
    difference_interval,
    mean_interval,
    share_interval,
    share_intervals,
    zero_share_bound,
)

_LEVEL = 0.95
_bools = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=60)


def _rng():
    return np.random.default_rng(7)


@settings(deadline=None)
@given(_bools)
def test_a_share_lies_in_its_interval_which_has_width_and_stays_between_0_and_1(pairs):
    hits, prompts = map(np.array, zip(*pairs, strict=True))
    interval = share_interval(hits, prompts, resamples=100, level=_LEVEL, rng=_rng())
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.value == hits.mean()
    assert interval.n == len(hits)
    if hits.all() or not hits.any():
        assert interval.high - interval.low > 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(0, 4)), min_size=1, max_size=60))
def test_a_difference_lies_in_its_interval_and_stays_between_minus_1_and_1(pairs):
    differences, prompts = map(np.array, zip(*pairs, strict=True))
    interval = difference_interval(differences, prompts, resamples=100, level=_LEVEL, rng=_rng())
    assert -1 <= interval.low <= interval.value <= interval.high <= 1
    if np.all(differences == differences[0]):
        assert interval.high > interval.low


def test_equal_seeds_give_equal_intervals():
    values, prompts = _rng().random(40), np.repeat(np.arange(8), 5)
    whole = mean_interval(values, prompts, resamples=500, level=_LEVEL, rng=_rng())
    assert whole == mean_interval(values, prompts, resamples=500, level=_LEVEL, rng=_rng())


def test_an_interval_widens_when_pictures_of_a_prompt_are_alike():
    prompts = np.repeat(np.arange(10), 20)
    alike = np.repeat(np.arange(10) % 2, 20).astype(float)
    mixed = np.tile([0.0, 1.0], 100)
    widths = [
        interval.high - interval.low
        for interval in (mean_interval(v, prompts, resamples=1000, level=_LEVEL, rng=_rng()) for v in (alike, mixed))
    ]
    assert widths[0] > 2 * widths[1]


def test_prompts_of_different_sizes_weigh_as_their_pictures_do():
    values, prompts = np.array([1.0] * 30 + [0.0] * 2), np.array([0] * 30 + [1] * 2)
    interval = mean_interval(values, prompts, resamples=2000, level=_LEVEL, rng=_rng())
    assert interval.value == pytest.approx(30 / 32)
    assert (interval.low, interval.high) == (0, 1)  # both prompts alike is drawn half of the time


def test_the_interval_of_a_mean_covers_it_about_as_often_as_its_level_says():
    rng, covered = np.random.default_rng(11), 0
    prompts = np.repeat(np.arange(20), 5)
    for _ in range(200):
        chance = np.repeat(rng.beta(4, 4, 20), 5)
        interval = share_interval(rng.random(100) < chance, prompts, resamples=300, level=0.9, rng=rng)
        covered += interval.low <= 0.5 <= interval.high
    assert 0.85 <= covered / 200 <= 0.99


@pytest.mark.parametrize("n", [1, 8, 308])
def test_what_was_never_seen_has_wilsons_bound(n):
    expected = binomtest(0, n).proportion_ci(0.95, method="wilson").high
    assert zero_share_bound(n, 0.95) == pytest.approx(expected)
    zero = share_interval(np.zeros(n, bool), np.zeros(n), resamples=100, level=0.95, rng=_rng())
    assert (zero.low, zero.high) == (0, pytest.approx(expected))


def test_several_shares_at_once_have_the_intervals_that_each_has_alone():
    rng = np.random.default_rng(3)
    prompts = np.array([f"p{i % 7}" for i in range(40)])  # of unequal numbers of seeds
    scores = rng.random(40)
    hits = np.stack([scores >= t for t in (0.0, 0.3, 0.5, 0.9, 1.0)], axis=1)
    settings = {"resamples": 500, "level": 0.9}
    together = share_intervals(hits, prompts, rng=np.random.default_rng(1), **settings)
    for column, interval in zip(hits.T, together, strict=True):
        alone = share_interval(column, prompts, rng=np.random.default_rng(1), **settings)
        assert (interval.value, interval.n) == (alone.value, alone.n)
        assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high))
