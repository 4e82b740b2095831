from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from hfi_core.metrics import ranking
from hfi_core.metrics.ranking import Resampling, accuracy, auc, bootstrap, calibration_error, pair_accuracy, spearman

RESAMPLING = Resampling(resamples=400, level=0.9, seed=3)
RNG = np.random.default_rng(0)
LABELS = RNG.random(60)
SCORES = np.clip(np.round(LABELS + RNG.normal(0, 0.25, 60), 1), 0, 1)  # rounded, so that some are tied


def _interval_by_hand(statistic):
    """Percentiles of a statistic of row numbers, resample by resample."""
    drawn = np.random.default_rng(RESAMPLING.seed).multinomial(60, np.full(60, 1 / 60), size=RESAMPLING.resamples)
    values = [statistic(np.repeat(np.arange(60), row)) for row in drawn]
    return pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))


def test_auc_and_its_interval_are_those_of_sklearn_resample_by_resample():
    positive = LABELS > 0.5
    measured = auc(SCORES, positive, RESAMPLING)
    assert measured.value == pytest.approx(roc_auc_score(positive, SCORES))
    assert (measured.low, measured.high) == _interval_by_hand(lambda rows: roc_auc_score(positive[rows], SCORES[rows]))


def test_spearman_and_its_interval_are_those_of_scipy_resample_by_resample():
    measured = spearman(SCORES, LABELS, RESAMPLING)
    assert measured.value == pytest.approx(spearmanr(SCORES, LABELS).statistic)
    assert (measured.low, measured.high) == _interval_by_hand(
        lambda rows: spearmanr(SCORES[rows], LABELS[rows]).statistic
    )


def test_accuracy_and_its_interval_are_shares_of_pictures():
    right = (SCORES > 0.5) == (LABELS > 0.5)
    measured = accuracy(SCORES, LABELS > 0.5, RESAMPLING)
    assert measured.value == pytest.approx(right.mean())
    assert (measured.low, measured.high) == _interval_by_hand(lambda rows: right[rows].mean())
    assert measured.n == 60


def test_calibration_error_of_a_hand_computed_example():
    # Bins .1 and .9 with two pictures each: |.1 - .5| and |.9 - .75|, each half of all.
    scores, labels = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 1.0, 1.0, 0.5])
    assert calibration_error(scores, labels, RESAMPLING).value == pytest.approx((0.4 + 0.15) / 2)


def test_scores_that_are_the_shares_of_votes_are_calibrated():
    assert calibration_error(LABELS, LABELS, RESAMPLING).value == 0
    assert calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0]), RESAMPLING).high == 0


def test_pair_accuracy_of_a_hand_computed_example():
    scores = np.array([3.0, 2.0, 2.0, 1.0])
    above, below, weight = np.array([0, 3, 1]), np.array([1, 0, 2]), np.array([2.0, 1.0, 1.0])
    assert pair_accuracy(scores, above, below, weight, RESAMPLING).value == pytest.approx((2 + 0 + 0.5) / 4)
    assert pair_accuracy(scores, above, below, weight, RESAMPLING).n == 3


def test_the_interval_of_pair_accuracy_draws_pictures_and_not_pairs():
    """One picture that is in every wrong pair makes the interval wide, however many pairs there are."""
    above, below = (side.ravel() for side in np.triu_indices(20, 1))
    scores = -np.arange(20.0)
    scores[10] = 100
    measured = pair_accuracy(scores, above, below, np.ones(len(above)), RESAMPLING)
    assert measured.low < measured.value < measured.high
    share = measured.value * (1 - measured.value) / len(above)
    assert measured.high - measured.low > 2 * 1.645 * np.sqrt(share)


@pytest.mark.parametrize("right", [True, False])
def test_a_few_pictures_without_an_error_claim_no_certainty(right):
    positive = np.array([True, True, True, False, False, False, False])
    scores = np.where(positive == right, 0.9, 0.1)
    above, below = np.array([0, 1]), np.array([3, 4])
    for measured in (
        auc(scores, positive, RESAMPLING),
        accuracy(scores, positive, RESAMPLING),
        pair_accuracy(scores, above, below, np.ones(2), RESAMPLING),
    ):
        assert measured.value == float(right)
        assert measured.high - measured.low > 0.2
        assert (measured.high if right else measured.low) == measured.value


def test_figures_that_are_undefined_are_none():
    constant = np.full(4, 0.5)
    assert spearman(constant, np.arange(4.0), RESAMPLING).value is None
    assert spearman(constant, np.arange(4.0), RESAMPLING).low is None
    assert auc(np.arange(4.0), np.ones(4, bool), RESAMPLING).value is None


def test_equal_seeds_give_equal_intervals_and_others_others():
    figure = partial(spearman, SCORES, LABELS)
    assert figure(RESAMPLING) == figure(RESAMPLING)
    assert figure(RESAMPLING).low != figure(Resampling(400, 0.9, seed=4)).low


def test_the_size_of_a_chunk_changes_no_interval(monkeypatch):
    whole = auc(SCORES, LABELS > 0.5, RESAMPLING)
    monkeypatch.setattr(ranking, "_CHUNK_ELEMENTS", 60 * 7)
    assert auc(SCORES, LABELS > 0.5, RESAMPLING) == whole


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 2**32))
def test_the_interval_of_a_mean_lies_within_the_values(values, seed):
    values = np.array(values)
    low, high = bootstrap(lambda drawn: drawn @ values / drawn.sum(1), len(values), Resampling(100, 0.95, seed))
    assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9
