"""Which pictures are asked about next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.feedback.labels import Label, assign_split, write_labels
from hfi_core.params import parse_params
from hfi_core.reward import active_learning
from hfi_core.reward.active_learning import mix, random_order, select, spread_out, uncertainty
from tests.support.judging import candidate, vote, write_lines, write_manifest
from tests.support.projects import default_raw

NAMES = [f"badge-{k:03d}" for k in range(80)]
PARAMS = parse_params(default_raw())


def _directions(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """80 candidates of which the first 20 have labels; embeddings and rewards follow from the number in the id."""
    write_manifest(tmp_path / "candidates/badge", [candidate(name) for name in NAMES])
    (tmp_path / "candidates/badge/pictures").mkdir()
    for name in NAMES:
        (tmp_path / f"candidates/badge/pictures/{name}.png").touch()
    labels = [Label(name, "0" * 64, float(k % 2), 1, 0, 0, "learn") for k, name in enumerate(NAMES[:20])]
    write_labels(tmp_path / "labels/badge", labels, None, {})
    (tmp_path / "reward/badge").mkdir(parents=True)
    (tmp_path / "reward/badge/reward.safetensors").touch()

    def embed(params, folder, reward, candidates, progress):
        numbers = np.array([int(one.id.split("-")[1]) for one in candidates])
        return _directions(*(numbers * 4.5)), (numbers * 37 % 80) / 80

    monkeypatch.setattr(active_learning, "_score", embed)
    return tmp_path


def _names(chosen):
    return [one.candidate.id for one in chosen.choices]


def test_a_binary_reward_near_one_half_is_unsure_and_a_ranking_s_says_nothing():
    assert uncertainty(np.array([0.0, 0.25, 0.5, 1.0]), "binary").tolist() == [0, 0.5, 1, 0]
    assert uncertainty(np.array([0.0, 0.5]), "ranking").tolist() == [1, 1]


def test_pictures_are_chosen_apart_from_each_other_and_from_what_is_known():
    features = _directions(0, 1, 60, 61, 120)
    assert spread_out(np.ones(5), features, _directions(0), 2) == [4, 2]
    assert spread_out(np.ones(5), features, np.empty((0, 2)), 3) == [0, 4, 2]


def test_of_pictures_alike_the_unsure_one_is_chosen_and_a_sure_one_never():
    features = _directions(0, 0, 90, 90)
    assert spread_out(np.array([0.1, 0.9, 0.5, 0.0]), features, np.empty((0, 2)), 9) == [1, 2, 0]


@given(st.integers(0, 30), st.integers(0, 2**31))
def test_no_picture_is_chosen_twice_and_as_many_as_there_are(count, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(20, 4))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    chosen = spread_out(rng.random(20), features, features[:3], count)
    assert len(set(chosen)) == len(chosen) == min(count, 20)


def test_a_choice_is_the_same_every_time_and_holds_its_share_of_random_ones(project):
    first, again = (select(PARAMS, "badge", root=project, count=20, random_share=0.25) for _ in range(2))
    assert first == again
    names = _names(first)
    sample = {one.id for one in first.sample}
    assert len(sample) == 5
    assert {one.candidate.id for one in first.choices if one.random} == sample - set(NAMES[:20])
    assert len(set(names)) == len(names) == 15 + len(sample - set(NAMES[:20]))
    assert not set(names) & set(NAMES[:20])
    assert list(first.priorities.values()) == list(range(len(names), 0, -1))


def test_pictures_kept_for_the_attacker_are_asked_about_at_random_only(project):
    chosen = select(PARAMS, "badge", root=project, count=40, random_share=0.5)
    for one in chosen.choices:
        assert one.random or assign_split(one.candidate.id, PARAMS.feedback.held_out_for_attacks) == "learn"
    assert any(
        assign_split(one.candidate.id, PARAMS.feedback.held_out_for_attacks) == "attack" for one in chosen.choices
    )


def test_the_random_sample_grows_by_an_order_that_knows_no_answers(project):
    first = select(PARAMS, "badge", root=project, count=20, random_share=0.5)
    sampled = {one.id for one in first.sample}
    second = select(PARAMS, "badge", root=project, count=20, random_share=0.5, sampled=sampled)
    order = random_order(NAMES, PARAMS.seed)
    assert sampled == set(order[:10]) and {one.id for one in second.sample} == set(order[:20])


def test_the_random_order_is_fair_and_leaves_others_where_they_are():
    firsts = [random_order(NAMES[:10], seed)[0] for seed in range(2000)]
    assert all(140 < firsts.count(name) < 260 for name in NAMES[:10])
    order = random_order(NAMES, 7)
    assert [name for name in order if name in NAMES[::3]] == random_order(NAMES[::3], 7)


def test_without_random_ones_all_are_chosen_by_the_model_and_the_other_way_round(project):
    assert not any(one.random for one in select(PARAMS, "badge", root=project, count=9, random_share=0).choices)
    assert all(one.random for one in select(PARAMS, "badge", root=project, count=9, random_share=1).choices)


def test_random_ones_are_spread_over_the_order_of_asking():
    mixed = mix(list(range(12)), [100, 101, 102])
    assert [k for k, row in enumerate(mixed) if row >= 100] == [2, 7, 12]
    assert [row for row in mixed if row < 100] == list(range(12))
    assert mix([], [1]) == [1] and mix([1], []) == [1]


def test_gold_pictures_and_those_without_a_file_are_never_chosen(project):
    write_lines(project / "gold.jsonl", [vote(candidate(NAMES[30])), vote(candidate("medal-1"), concept="medal")])
    (project / f"candidates/badge/pictures/{NAMES[31]}.png").unlink()
    raw = default_raw()
    raw["annotation"]["gold"] = "gold.jsonl"
    chosen = select(parse_params(raw), "badge", root=project, count=80, random_share=0.5, sampled={NAMES[30]})
    assert not {NAMES[30], NAMES[31]} & {*_names(chosen), *(one.id for one in chosen.sample)}


def test_no_reward_model_yet_or_nothing_left_says_what_to_do(project):
    write_labels(project / "labels/badge", [Label(name, "0" * 64, 1.0, 1, 0, 0, "learn") for name in NAMES], None, {})
    with pytest.raises(UserError, match=r"(?s)Every candidate of badge has a label.*pictures"):
        select(PARAMS, "badge", root=project, count=5, random_share=0.2)
    (project / "reward/badge/reward.safetensors").unlink()
    with pytest.raises(UserError, match="(?s)first round of judgements.*hfi run --until reward"):
        select(PARAMS, "badge", root=project, count=5, random_share=0.2)
