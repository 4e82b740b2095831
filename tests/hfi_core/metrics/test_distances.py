"""Drift, kernel distance and CLIP score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfi_core.metrics.distances import clip_score, cosine_drift, kid_interval, pixel_drift


def _features(rng, n=60, width=16, shift=0.0):
    raw = rng.normal(size=(n, width))
    raw[:, 0] += shift
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def _interval(features, base, rng, prompts=None):
    prompts = np.zeros(len(base)) if prompts is None else prompts
    return kid_interval(features, base, prompts, resamples=200, level=0.95, rng=rng)


def _kid(features, base):
    options = {"resamples": 2, "level": 0.9, "rng": np.random.default_rng(0)}
    return kid_interval(features, base, np.arange(len(features)), **options).value


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31))
def test_the_kernel_distance_of_a_row_to_itself_is_0(seed):
    features = _features(np.random.default_rng(seed))
    assert _kid(features, features) == pytest.approx(0, abs=1e-12)


def test_the_kernel_distance_of_equal_distributions_is_0_on_average():
    rng = np.random.default_rng(3)
    values = [_kid(_features(rng), _features(rng)) for _ in range(100)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 10


def test_the_kernel_distance_stays_unbiased_when_pictures_are_paired():
    rng, values = np.random.default_rng(4), []
    for _ in range(100):
        shared = rng.normal(size=(30, 16))
        rows = [shared + 0.3 * rng.normal(size=shared.shape) for _ in range(2)]
        values.append(_kid(*(row / np.linalg.norm(row, axis=1, keepdims=True) for row in rows)))
    assert abs(np.mean(values)) < 3 * np.std(values) / 10


def test_the_kernel_distance_grows_with_the_shift_and_leaves_0_outside_its_interval():
    rng = np.random.default_rng(5)
    base = _features(rng)
    intervals = [_interval(_features(rng, shift=s), base, rng) for s in (0, 1, 2, 4)]
    assert all(a.value < b.value for a, b in zip(intervals[:-1], intervals[1:], strict=True))
    assert all(interval.low <= interval.value <= interval.high for interval in intervals)
    assert intervals[0].low < 0 < intervals[0].high
    assert intervals[-1].low > 0


def test_the_kernels_interval_is_about_as_wide_as_fresh_draws_vary():
    rng = np.random.default_rng(6)
    values = [_kid(_features(rng, shift=1.5), _features(rng)) for _ in range(200)]
    spread = np.quantile(values, 0.975) - np.quantile(values, 0.025)
    widths = []
    for _ in range(20):
        interval = _interval(_features(rng, shift=1.5), _features(rng), rng)
        widths.append(interval.high - interval.low)
    assert 0.6 < np.mean(widths) / spread < 1.6


def test_two_pictures_are_enough_for_a_kernel_distance():
    rng = np.random.default_rng(8)
    interval = _interval(_features(rng, n=2), _features(rng, n=2), rng)
    assert np.isfinite([interval.value, interval.low, interval.high]).all()


def _of_prompts(rng, count, seeds=6, width=16):
    """Two rows (count * seeds, D): pictures of a prompt are alike, and prompts are changed differently much."""
    prompt = np.repeat(rng.normal(size=(count, width)), seeds, axis=0)
    base = prompt + 0.5 * rng.normal(size=prompt.shape)
    changed = base.copy()
    changed[:, 0] += np.repeat(rng.exponential(2.0, count), seeds)
    return tuple(row / np.linalg.norm(row, axis=1, keepdims=True) for row in (changed, base))


def test_the_kernels_interval_speaks_of_other_prompts_too():
    rng, prompts = np.random.default_rng(9), np.repeat(np.arange(10), 6)
    truth = np.mean([_kid(*_of_prompts(rng, 40)) for _ in range(30)])
    both = [_of_prompts(rng, 10) for _ in range(40)]
    clustered = [_interval(*rows, rng, prompts) for rows in both]
    alone = [_interval(*rows, rng) for rows in both]
    covered = [
        sum(interval.low <= truth <= interval.high for interval in intervals) for intervals in (clustered, alone)
    ]
    assert covered[0] >= 0.85 * len(both)
    assert covered[0] > covered[1], "pictures of a prompt are not independent"
    assert np.mean([o.high - o.low for o in clustered]) > 1.5 * np.mean([o.high - o.low for o in alone])


def test_the_kernels_interval_is_0_where_a_row_is_compared_with_itself():
    rng = np.random.default_rng(10)
    features = _features(rng)
    interval = _interval(features, features, rng, np.repeat(np.arange(12), 5))
    assert (interval.value, interval.low, interval.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_drift_is_0_for_the_same_pictures_and_1_for_orthogonal_features_or_opposite_pixels():
    features = np.eye(4, dtype=np.float32)
    black, white = np.zeros((4, 2, 2, 3), np.uint8), np.full((4, 2, 2, 3), 255, np.uint8)
    assert cosine_drift(features, features).tolist() == [0] * 4
    assert cosine_drift(features, np.roll(features, 1, axis=0)).tolist() == [1] * 4
    assert pixel_drift(white, white).tolist() == [0] * 4
    assert pixel_drift(iter(white), iter(black)).tolist() == [1] * 4


def test_the_clip_score_is_two_and_a_half_cosines_and_never_negative():
    images = np.array([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0]])
    texts = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert clip_score(images, texts).tolist() == pytest.approx([2.5, 1.5, 0])
