"""Two releases are compared picture by picture, and a gate checks the difference against a bound."""

import pytest

from hfi_core.errors import UserError
from hfi_core.evaluation.comparison import measure_difference
from hfi_core.evaluation.gates import check_against_champion, check_gates
from hfi_core.params import Gate, parse_params
from tests.support.projects import default_raw

PROMPTS, SEEDS = 8, 40


def _params(**gates):
    raw = default_raw()
    raw["evaluate"]["resamples"] = 500
    raw["release"]["gates"] = gates
    return parse_params(raw)


def _records(hits: int, suite: str = "broad", first_seed: int = 0) -> list[dict]:
    """Of 320 pictures the first `hits` of each 40 seeds are flagged; the others are kept."""
    return [
        {"suite": suite, "index": 40 * prompt + seed, "prompt": f"badge {prompt}", "seed": first_seed + seed,
         "flagged": seed < hits, "kept": seed >= hits}
        for prompt in range(PROMPTS) for seed in range(SEEDS)
    ]  # fmt: skip


def test_the_difference_is_signed_and_worsening_follows_the_better_direction():
    params = _params()
    flagged = measure_difference(params, "flagged@broad", _records(10), _records(2))
    difference = measure_difference(params, "kept@broad", _records(10), _records(2))
    assert flagged.interval.value == pytest.approx(0.2)
    assert difference.interval.value == pytest.approx(-0.2)
    assert flagged.worsening.value == difference.worsening.value == pytest.approx(0.2)
    assert flagged.worsening.low <= 0.2 <= flagged.worsening.high
    assert flagged.p < 1e-6


def test_pictures_of_other_seeds_or_of_another_suite_cannot_be_paired():
    with pytest.raises(UserError, match="same prompts and seeds"):
        measure_difference(_params(), "flagged@broad", _records(1), _records(1, first_seed=7))
    with pytest.raises(UserError, match="same prompts and seeds"):
        measure_difference(_params(), "flagged@precise", _records(1), _records(1))


@pytest.mark.parametrize(("ours", "passes"), [(2, True), (0, True), (10, False)])
def test_a_release_must_be_shown_not_to_be_worse_than_the_champion(ours, passes):
    params = _params(**{"flagged@broad": {"not_worse_by": 0.05}, "kept@broad": {"at_least": 0.1}})
    (result,) = check_against_champion(params, _records(ours), _records(2))
    assert result.passed == passes
    assert result.description.startswith("worse than the champion by")


def test_a_difference_within_the_bound_fails_if_its_interval_is_not():
    params = _params(**{"flagged@broad": {"not_worse_by": 0.02}})
    few = [record for record in _records(2) if record["index"] % 40 < 5]
    (result,) = check_against_champion(params, few, few)
    assert (result.passed, result.conclusive) == (False, False)


def test_a_release_that_cannot_be_compared_fails_with_the_reason():
    params = _params(**{"flagged@broad": {"not_worse_by": 0.05}})
    (result,) = check_against_champion(params, _records(2), _records(2, first_seed=1))
    assert not result.passed and "not comparable with the champion" in result.description


def test_a_bound_on_the_champion_needs_a_share_and_is_checked_at_promotion_only():
    figures = {"drift@broad": {"value": 0.1, "low": 0.1, "high": 0.1}, "kept@broad": {"value": 1, "low": 1, "high": 1}}
    evaluation = {"rows": [{"row": "mine", "metrics": figures}]}
    assert check_gates(evaluation, "mine", {"kept@broad": Gate(not_worse_by=0.1)}) == []
    with pytest.raises(UserError, match="drift@broad.not_worse_by: only shares"):
        check_gates(evaluation, "mine", {"drift@broad": Gate(not_worse_by=0.1)})
