from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.training_loop import Checkpoint
from hfi_core.errors import UserError
from hfi_core.feedback.labels import Label, RankedPair
from hfi_core.io.tensors import save_tensors
from hfi_core.metrics.ranking import Resampling
from hfi_core.params import Reward
from hfi_core.reward.model import WEIGHTS, RewardModel, train_model
from hfi_core.reward.objectives import (
    BATCH,
    bradley_terry,
    draw_batch,
    make_objective,
    split_held_out,
    split_rankings,
    squared_error,
)

SETTINGS = Reward(hidden=16, steps=200, rate=0.01, weight_decay=0.01, held_out=0.25, least=8)
HOW = Resampling(200, 0.95, 0)


def _features(count=80, width=6, seed=0):
    features = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(features + 4, dim=1)


def _label(number, value):
    return Label(f"p{number:03d}", "0" * 64, float(value), 0, 0, 0, "learn")


def _binary(features, settings=SETTINGS):
    """Pictures whose first coordinate says what people answer."""
    values = (features[:, 0] > features[:, 0].median()).float()
    return make_objective("binary", "badge", [_label(k, v) for k, v in enumerate(values)], [], settings, 0)


def _ranking(features, settings=SETTINGS):
    order = features[:, 0].argsort().argsort() / (len(features) - 1)
    labels = [_label(k, v) for k, v in enumerate(order)]
    pairs = [
        RankedPair(one.picture, other.picture, 1.0)
        for one in labels
        for other in labels[::3]
        if one.label > other.label
    ]
    return make_objective("ranking", "badge", labels, pairs, settings, 0)


def _fit(task, features, settings=SETTINGS, checkpoint=None):
    model = RewardModel.start(features[~task.held_out], settings.hidden, 0)
    losses = train_model(
        model,
        lambda step: task.loss(model, features, step),
        lambda: task.held_out_loss(model, features),
        settings,
        checkpoint=checkpoint,
    )
    return model, losses


def test_the_losses_are_those_of_the_paper():
    logits, labels = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.5])
    r = 1 / (1 + np.exp(-2.0))
    assert squared_error(logits, labels).item() == pytest.approx((0.25 + (r - 0.5) ** 2) / 2)
    above, below, weight = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0]), torch.tensor([3.0, 1.0])
    expected = (3 * np.log1p(np.exp(-1.0)) + np.log(2)) / 4
    assert bradley_terry(above, below, weight).item() == pytest.approx(expected)


def test_a_model_learns_binary_answers_and_is_measured_on_held_out_pictures():
    features = _features()
    task = _binary(features)
    model, _ = _fit(task, features)
    rewards = model.rewards(features).double().numpy()
    assert ((rewards >= 0) & (rewards <= 1)).all()
    measured = task.measure(rewards, HOW)
    assert measured["auc"].value > 0.9 and measured["auc"].n == task.held_out.sum()
    assert measured["accuracy"].value > 0.8
    assert measured["calibration_error"].value < 0.25


def test_a_model_learns_a_ranking_and_half_of_the_pictures_get_more_than_one_half():
    features = _features()
    task = _ranking(features)
    model, _ = _fit(task, features)
    learn = features[~task.held_out]
    model.put_zero_at(learn)
    assert (model.rewards(learn) > 0.5).float().mean().item() == pytest.approx(0.5, abs=0.02)
    measured = task.measure(model.rewards(features).double().numpy(), HOW)
    assert measured["pair_accuracy"].value > 0.85
    assert measured["spearman"].value > 0.8


def test_the_weights_of_the_least_held_out_loss_are_kept():
    features = _features(40)
    noise = np.random.default_rng(0).random(40) > 0.5  # nothing to learn, so fitting on makes it worse
    task = make_objective("binary", "badge", [_label(k, v) for k, v in enumerate(noise)], [], SETTINGS, 0)
    model, losses = _fit(task, features)
    held_out = losses["held_out_loss"]
    assert min(held_out) < held_out[-1]
    assert task.held_out_loss(model, features).item() == pytest.approx(min(held_out), abs=1e-6)


@pytest.mark.parametrize("make", [_binary, _ranking])
def test_a_fit_that_was_killed_goes_on_to_the_same_bits(tmp_path, make):
    features = _features()
    task = make(features)
    whole, losses = _fit(task, features)

    def dying_loss(step):
        if step == 77:
            raise KeyboardInterrupt
        return task.loss(model, features, step)

    model = RewardModel.start(features[~task.held_out], SETTINGS.hidden, 0)
    checkpoint = Checkpoint(tmp_path / "reward.safetensors", 25)
    with pytest.raises(KeyboardInterrupt):
        train_model(model, dying_loss, lambda: task.held_out_loss(model, features), SETTINGS, checkpoint=checkpoint)
    again, losses_again = _fit(task, features, checkpoint=checkpoint)
    assert losses_again == losses
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


def test_a_saved_model_gives_the_same_rewards_and_the_same_bytes(tmp_path):
    features = _features()
    model, _ = _fit(_binary(features), features)
    for name in ("one", "other"):
        model.save(tmp_path / name)
    assert torch.equal(RewardModel.load(tmp_path / "one").rewards(features), model.rewards(features))
    assert (tmp_path / "one" / WEIGHTS).read_bytes() == (tmp_path / "other" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("content", [b"", b"\x80\x05\x95 a pickle", None])
def test_a_file_that_is_not_a_reward_model_is_refused(tmp_path, content):
    if content is None:
        save_tensors(tmp_path / WEIGHTS, {"inner.weight": torch.zeros(2, 3)})
    else:
        (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(UserError, match=WEIGHTS):
        RewardModel.load(tmp_path)


def test_starting_a_model_leaves_other_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    RewardModel.start(_features(), 4, 0)
    assert torch.equal(torch.rand(1), expected)


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60), st.floats(0.05, 0.8), st.integers(0, 99))
def test_a_split_keeps_every_class_of_two_on_both_sides(classes, share, seed):
    classes = np.array(classes)
    held_out = split_held_out(classes, share, seed)
    for value in np.unique(classes):
        mine = held_out[classes == value]
        assert len(mine) < 2 or (mine.any() and not mine.all())
    assert (held_out == split_held_out(classes, share, seed)).all()


def test_a_step_learns_from_all_of_a_small_set_and_from_a_seeded_part_of_a_large_one():
    assert draw_batch(BATCH, 3, 0).tolist() == list(range(BATCH))
    part = draw_batch(5000, 3, 0)
    assert len(set(part.tolist())) == BATCH
    assert torch.equal(part, draw_batch(5000, 3, 0)) and not torch.equal(part, draw_batch(5000, 4, 0))


def test_split_votes_are_not_part_of_accuracy_and_auc():
    values = [0.0, 1.0, 0.5] * 20
    task = make_objective("binary", "badge", [_label(k, v) for k, v in enumerate(values)], [], SETTINGS, 0)
    measured = task.measure(np.array(values), HOW)
    assert measured["accuracy"].n == 10 and measured["calibration_error"].n == 15
    assert measured["auc"].value == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1] * 3, "6 pictures with labels to learn from; reward.least asks for 8"),
        ([0] * 20, r"0 of 20 labelled pictures are objectionable.*people answered 'no'"),
        ([1] * 20, r"0 of 20 labelled pictures are accepted.*people answered 'yes'"),
        ([1] * 20 + [0], "1 of 21 labelled pictures are accepted"),
        ([0.5] * 20, "0 of 20 labelled pictures are objectionable"),
    ],
)
def test_too_few_labels_or_one_class_are_refused_with_what_to_do(values, message):
    with pytest.raises(UserError, match=f"(?s){message}.*To fix this: have more pictures judged"):
        make_objective("binary", "badge", [_label(k, v) for k, v in enumerate(values)], [], SETTINGS, 0)


def _sets(count: int, size: int, rankers: float = 1.0) -> list[RankedPair]:
    """Pairs of disjoint sets of pictures, each ranked in the order of its pictures."""
    return [
        RankedPair(f"p{size * s + a:03d}", f"p{size * s + b:03d}", rankers, f"set-{s}")
        for s in range(count)
        for a, b in combinations(range(size), 2)
    ]


@given(st.integers(2, 30), st.integers(2, 6), st.integers(0, 99))
def test_whole_rankings_are_held_out_and_no_pair_is_lost(count, size, seed):
    names = [f"p{k:03d}" for k in range(count * size)]
    pairs = _sets(count, size)
    mask = split_rankings(names, pairs, 0.5, seed)
    held_out = {name for name, marked in zip(names, mask, strict=True) if marked}
    assert 0 < len(held_out) <= 0.5 * len(names)
    assert all((pair.above in held_out) == (pair.below in held_out) for pair in pairs)


def test_sets_that_several_people_ranked_are_held_out_first():
    names = [f"p{k:03d}" for k in range(40)]
    alone = [RankedPair(names[k], names[(k + 7) % 40], 1.0, f"own-{k}") for k in range(40)]
    mask = split_rankings(names, [*alone, *_sets(8, 5, rankers=3.0)], 0.25, 0)
    assert mask.sum() == 10 and set(np.flatnonzero(mask) // 5 * 5) == set(np.flatnonzero(mask)[::5])


def test_a_single_set_is_split_by_pictures():
    names = [f"p{k:03d}" for k in range(20)]
    assert split_rankings(names, _sets(1, 20), 0.25, 0).sum() == 5


def test_few_held_out_pairs_are_warned_of():
    labels = [_label(k, k / 39) for k in range(40)]
    with pytest.warns(UserWarning, match=r"badge: only 20 pairs of held-out pictures.*To fix this: have more pictures"):
        make_objective("ranking", "badge", labels, _sets(8, 5), SETTINGS, 0)


def test_rankings_that_are_ties_alone_are_refused():
    labels = [_label(k, 0.5) for k in range(20)]
    ties = [RankedPair(a.picture, b.picture, 0.5) for a in labels for b in labels if a is not b]
    with pytest.raises(UserError, match=r"(?s)0 pairs without a tie.*To fix this"):
        make_objective("ranking", "badge", labels, ties, SETTINGS, 0)


def test_pairs_with_pictures_kept_for_the_attacker_are_not_learnt_from():
    labels = [_label(k, k / 39) for k in range(40)]
    pairs = [RankedPair(a.picture, b.picture, 1.0) for a in labels for b in labels[::7] if a.label > b.label]
    stray = [RankedPair("attack", label.picture, 5.0) for label in labels]
    without, task = (make_objective("ranking", "badge", labels, known, SETTINGS, 0) for known in (pairs, pairs + stray))
    for name in ("learn", "measured", "decided"):
        assert getattr(task, name).weight.tolist() == getattr(without, name).weight.tolist()
        assert getattr(task, name).above.tolist() == getattr(without, name).above.tolist()
