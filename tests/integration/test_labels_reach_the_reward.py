"""What the labels say is what the reward model's losses are of: soft labels, and ranked groups with their ties."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hfi_core.feedback.labels import Label
from hfi_core.feedback.ranking import count_comparisons, make_ranking_labels
from hfi_core.params import Reward
from hfi_core.reward.objectives import make_objective
from tests.support.judging import candidate
from tests.support.rankings import order

SETTINGS = Reward(hidden=4, steps=2, rate=0.01, weight_decay=0.0, held_out=0.25, least=4)


class Logits(torch.nn.Module):
    """In place of a reward model: the features are the logits."""

    def forward(self, features):
        return features.squeeze(1)


def _label(name, value):
    return Label(name, "0" * 64, value, 0, 0, 0, "learn")


def test_soft_labels_reach_the_squared_error_as_they_are():
    values = np.tile([0.02, 0.37, 0.81, 0.999], 5)
    task = make_objective("binary", "badge", [_label(f"p{k:02d}", v) for k, v in enumerate(values)], [], SETTINGS, 0)
    logits = torch.linspace(-2, 2, 20)[:, None]
    expected = (torch.sigmoid(logits[:, 0]) - torch.from_numpy(values).float())[torch.from_numpy(~task.held_out)]
    assert task.loss(Logits(), logits, 0).item() == pytest.approx(expected.square().mean().item())
    exact = torch.logit(torch.from_numpy(values).float())[:, None]
    assert task.loss(Logits(), exact, 0).item() == pytest.approx(0, abs=1e-9)


def _ranked(*texts):
    names = sorted({name for text in texts for name in text.replace(" ", "")})
    comparisons = count_comparisons([order(text, f"a{k}") for k, text in enumerate(texts)])
    labels = make_ranking_labels(comparisons, {name: candidate(name) for name in names}, 1, 0)
    return labels, comparisons.pairs, make_objective("ranking", "badge", labels, comparisons.pairs, SETTINGS, 0)


def test_ranked_groups_reach_the_pairwise_loss_with_ties_as_halves():
    labels, pairs, task = _ranked("abcd efgh ijkl mnop")
    row = {label.picture: k for k, label in enumerate(labels)}
    logits = torch.tensor(np.linspace(3, -1, len(labels)))[:, None]
    remaining = [
        (row[p.above], row[p.below], p.weight)
        for p in pairs
        if not task.held_out[row[p.above]] and not task.held_out[row[p.below]]
    ]
    assert any(weight == 0.5 for *_, weight in remaining) and any(weight == 1 for *_, weight in remaining)
    losses = [w * np.logaddexp(0, -float(logits[above] - logits[below])) for above, below, w in remaining]
    expected = sum(losses) / sum(weight for *_, weight in remaining)
    assert task.loss(Logits(), logits, 0).item() == pytest.approx(expected)


def test_a_tie_alone_pulls_two_logits_together():
    _, _, task = _ranked("abcd efgh ijkl mnop")
    tie = replace(task, learn=task.learn.where(task.learn.weight == 0.5))
    logits = torch.linspace(1, -1, 16)[:, None].requires_grad_(True)
    tie.loss(Logits(), logits, 0).backward()
    with torch.no_grad():
        nearer = logits - 0.1 * logits.grad
    assert tie.loss(Logits(), nearer, 0) < tie.loss(Logits(), logits, 0)
    same = torch.zeros(16, 1)
    assert tie.loss(Logits(), same, 0).item() == pytest.approx(np.log(2))
