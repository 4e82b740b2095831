"""The Vendi score of samples, and its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.metrics.variety import VENDI_SAMPLE, vendi_interval, vendi_score


def _features(seed: int, n: int, width: int = 8) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _interval(features, prompts, seed: int = 0, level: float = 0.95):
    return vendi_interval(features, np.asarray(prompts), level=level, rng=np.random.default_rng(seed))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_score_is_the_published_equation(seed, n):
    x = _features(seed, n)
    # The definition of Friedman & Dieng 2023, literally.
    eigenvalues = [value for value in np.linalg.eigvalsh(x @ x.T / n) if value > 0]
    expected = np.exp(-sum(value * np.log(value) for value in eigenvalues))
    assert vendi_score(x) == pytest.approx(expected)
    assert 1 - 1e-9 <= vendi_score(x) <= n + 1e-9


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_of_kinds_the_score_is_the_exponential_of_the_entropy_of_their_counts(counts):
    kinds = np.repeat(np.arange(len(counts)), counts)
    shares = np.array(counts) / sum(counts)
    assert vendi_score(np.eye(len(counts))[kinds]) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_equal_pictures_count_once_and_orthogonal_ones_each():
    assert vendi_score(np.ones((5, 1))) == pytest.approx(1)
    assert vendi_score(np.eye(5)) == pytest.approx(5)


def test_a_row_that_keeps_more_of_the_same_pictures_does_not_gain():
    few, many = (_interval(np.eye(4)[np.arange(n) % 4], np.arange(n) % 8) for n in (80, 400))
    assert few.value == pytest.approx(many.value, abs=0.1)
    assert (few.n, many.n) == (80, 400)


def test_of_few_pictures_the_score_is_that_of_all():
    features = _features(1, VENDI_SAMPLE - 2)
    interval = _interval(features, np.arange(len(features)) % 5)
    assert interval.value == pytest.approx(vendi_score(features))
    assert interval.low < interval.value < interval.high


@pytest.mark.parametrize(("n", "expected"), [(0, 0.0), (1, 1.0)])
def test_without_two_pictures_there_is_a_figure_all_the_same(n, expected):
    interval = _interval(_features(0, n), ["a badge"] * n)
    assert (interval.value, interval.low, interval.high) == pytest.approx((expected,) * 3)
    assert interval.n == n


def test_a_single_prompt_has_an_interval_over_its_pictures():
    interval = _interval(_features(2, 20), ["a badge"] * 20)
    assert interval.low < interval.value < interval.high


def test_the_interval_covers_the_true_effective_number_of_kinds():
    """Twelve prompts of ten pictures, each prompt with its own mixture of four kinds."""

    def draw(rng: np.random.Generator, prompts: int):
        mixtures = rng.dirichlet(np.full(4, 8.0), prompts)
        return np.concatenate([rng.choice(4, 10, p=mixture) for mixture in mixtures]), np.repeat(np.arange(prompts), 10)

    rng = np.random.default_rng(0)
    population = np.eye(4)[draw(rng, 2000)[0]]
    samples = population[rng.integers(0, len(population), (4000, VENDI_SAMPLE))]
    truth = vendi_score(samples).mean()
    hits = 0
    for trial in range(60):
        kinds, prompts = draw(np.random.default_rng(100 + trial), 12)
        interval = _interval(np.eye(4)[kinds], prompts, seed=trial, level=0.9)
        hits += interval.low <= truth <= interval.high
    assert hits >= 45
