import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.feedback.labels import RankedPair
from hfi_core.feedback.ranking import count_comparisons, fit_davidson
from tests.support.rankings import order

NAMES = "abcd"
TRUE = np.array([1.2, 0.4, -0.3, -1.3])


def _expected(strength: float, each: float = 1e4) -> tuple[list[RankedPair], float]:
    """The pairs that Davidson's model expects of `each` comparisons of any two pictures, and the number of ties."""
    pairs, ties = [], 0.0
    worth = np.exp(TRUE)
    for i in range(len(TRUE)):
        for j in range(len(TRUE)):
            if i != j:
                tied = strength * np.sqrt(worth[i] * worth[j])
                z = worth[i] + worth[j] + tied
                pairs.append(RankedPair(NAMES[i], NAMES[j], each * float((worth[i] + tied / 2) / z)))
                ties += each * float(tied / z) / 2
    return pairs, ties


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_scores_are_those_that_the_pairs_were_made_from(strength):
    pairs, ties = _expected(strength)
    assert fit_davidson(pairs, ties, NAMES) == pytest.approx(TRUE, abs=2e-3)


def test_ties_taken_for_halves_alone_would_draw_the_scores_together():
    pairs, _ = _expected(2.0)
    spread = np.ptp(fit_davidson(pairs, 0, NAMES))
    assert spread < 0.8 * np.ptp(TRUE)


@given(st.permutations("abcdef"), st.integers(1, 5))
def test_unbeaten_pictures_get_finite_scores_in_the_order_of_the_ranking(names, cut):
    names = names[: cut + 1]
    scores = fit_davidson(count_comparisons([order(" ".join(names))]).pairs, 0, names)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()


@given(st.lists(st.permutations("abcde"), min_size=1, max_size=6), st.lists(st.booleans(), min_size=4, max_size=4))
def test_scores_are_finite_and_depend_on_no_order_whatever_is_tied(rankings, cuts):
    def text(names):
        return "".join(name + (" " if cut else "") for name, cut in zip(names, [*cuts, False], strict=True))

    one, other = (count_comparisons([order(text(names)) for names in group]) for group in (rankings, rankings[::-1]))
    scores = fit_davidson(one.pairs, one.ties.total(), "abcde")
    assert np.isfinite(scores).all()
    assert (scores == fit_davidson(other.pairs, other.ties.total(), "abcde")).all()


def test_ties_alone_put_all_at_one_score_and_nothing_compared_scores_0():
    comparisons = count_comparisons([order("abc")])
    assert fit_davidson(comparisons.pairs, comparisons.ties.total(), "abc").tolist() == [0, 0, 0]
    assert fit_davidson([], 0, "ab").tolist() == [0, 0]
