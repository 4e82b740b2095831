"""Judgements needed to reach the same reward AUC: pictures chosen by the reward model against pictures at random.

On the embedded world's candidates with simulated annotators, so it says how the choice works there and no more. For
each of 20 seeds the readable candidates are split: 30 % measure, the rest is asked about. Both ways begin with the same
random pictures and go on in equal steps; each picture gets a judgement from each of three annotators, the label is the
share of votes, and the reward model of `params.yaml` learns from all labels so far. The AUC is taken against what the
annotators' judge reads without errors, on the pictures that measure. Needed is the first number of judgements from
which the AUC stays at or above the target; a seed that never gets there within the budget counts as the whole budget.
"Active" takes its share of random pictures, too, as `hfi feedback select` does. Intervals: 95 %, paired bootstrap over
seeds.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks import machine
from hfi_core.candidates.manifest import read_manifest
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import derive_seed, numpy_generator
from hfi_core.embedded.networks import load_judge_network
from hfi_core.embedded.simulated_crowd import answer_questions, draw_annotators, view_candidates
from hfi_core.feedback.labels import Label
from hfi_core.models.weights import locate_weights
from hfi_core.params import EMBEDDED, Params
from hfi_core.reward.active_learning import spread_out, uncertainty
from hfi_core.reward.model import RewardModel, embed_candidates, train_model
from hfi_core.reward.objectives import make_objective

CONCEPT = "badge"
SEEDS = 20
FIRST, STEP, BUDGET = 5, 5, 60
"""Pictures: in the first round, in each later one, and in all. Few: with 20 the reward model of this world is done."""
MEASURED = 0.3
RANDOM_SHARE = 0.2
TARGETS = (0.9, 0.95, 0.98)
LEAST = 4
"""Labels below which the reward model does not learn; small, so that early rounds count."""
_RESAMPLES = 10_000

Choose = Callable[[np.ndarray, np.ndarray, np.ndarray, int, np.random.Generator], list[int]]
"""Rewards and embeddings of pictures not asked about, embeddings of those asked about, how many: rows to ask about."""


def at_random(rewards, features, known, count, rng) -> list[int]:
    """Any pictures."""
    return rng.permutation(len(rewards))[:count].tolist()


def actively(rewards, features, known, count, rng) -> list[int]:
    """As `hfi feedback select` does: a share at random, the rest unsure and spread out."""
    drawn = at_random(rewards, features, known, round(RANDOM_SHARE * count), rng)
    unsure = uncertainty(rewards, "binary")
    unsure[drawn] = 0
    return drawn + spread_out(unsure, features, np.concatenate([known, features[drawn]]), count - len(drawn))


def main() -> dict[str, float]:
    """Run both ways on every seed and print a line a target."""
    params = machine.params()
    configure_torch(params.compute)
    folder = Path("candidates") / CONCEPT
    judge = load_judge_network(locate_weights(EMBEDDED, None, "annotators"))
    impressions = [one for one in view_candidates(judge, folder, read_manifest(folder)) if one.emblem_readable]
    features = embed_candidates(params, folder, [one.picture for one in impressions], lambda *_: None)
    truth = np.array([one.flagged > 0.5 for one in impressions])

    curves = {"active": [], "random": []}
    for seed in range(SEEDS):
        shares = _shares(params, impressions, seed)
        for name, choose in (("active", actively), ("random", at_random)):
            curves[name].append(_curve(params, features, shares, truth, choose, seed))
        told = ", ".join(f"{name} {_needed(rows[-1], TARGETS[1])}" for name, rows in curves.items())
        print(f"seed {seed}: pictures to AUC {TARGETS[1]}: {told}", flush=True)
    return _figures({name: np.array(rows) for name, rows in curves.items()}, params)


def _shares(params: Params, impressions, seed: int) -> np.ndarray:
    """Share of yes (N,) by a crowd of this seed; NaN where nobody could tell."""
    (crowd,) = params.feedback.simulated.values()
    worth = {"yes": 1.0, "no": 0.0, "cant_tell": np.nan}
    said = [answer_questions(who, CONCEPT, impressions, seed) for who in draw_annotators("crowd", crowd, seed)]
    votes = np.array([[worth[judgement.answer] for judgement in one] for one in said])
    counted = np.isfinite(votes).sum(0)
    return np.where(counted, np.nansum(votes, 0) / np.maximum(counted, 1), np.nan)


def _curve(params: Params, features, shares, truth, choose: Choose, seed: int) -> list[float]:
    """AUC after every round of one way."""
    order = numpy_generator("active-selection", "split", seed).permutation(len(truth))
    cut = round(MEASURED * len(truth))
    measured, pool = order[:cut], order[cut:]
    vectors, aucs = features.double().numpy(), []
    asked = pool[:FIRST].tolist()
    while True:
        rewards = _fit(params, features, shares, asked, seed)
        aucs.append(0.5 if rewards is None else float(roc_auc_score(truth[measured], rewards[measured])))
        if len(asked) >= BUDGET:
            return aucs
        rest = np.setdiff1d(pool, asked)
        rng = numpy_generator("active-selection", "choose", seed, len(asked))
        if rewards is None:
            rewards = np.full(len(truth), 0.5)
        asked += rest[choose(rewards[rest], vectors[rest], vectors[asked], STEP, rng)].tolist()


def _fit(params: Params, features: torch.Tensor, shares: np.ndarray, asked: list[int], seed: int) -> np.ndarray | None:
    """Rewards (N,) of all pictures by the model that the labels so far give; None where they show one kind only."""
    rows = [row for row in asked if np.isfinite(shares[row])]
    if min((shares[rows] > 0.5).sum(), (shares[rows] < 0.5).sum()) < 2:
        return None
    labels = [Label(str(row), "", float(shares[row]), 0, 0, 0, "learn") for row in rows]
    settings = params.reward.model_copy(update={"least": LEAST})
    task = make_objective("binary", CONCEPT, labels, [], settings, derive_seed("active-selection", seed))
    mine = features[rows]
    learn = torch.from_numpy(~task.held_out)
    model = RewardModel.start(mine[learn], settings.hidden, derive_seed("active-selection", seed, "start"))
    train_model(model, lambda step: task.loss(model, mine, step), lambda: task.held_out_loss(model, mine), settings)
    return model.rewards(features).double().numpy()


def _needed(aucs, target: float) -> int:
    """Pictures asked about when the AUC reaches the target for good; the whole budget where it does not."""
    below = np.flatnonzero(np.array(aucs) < target)
    first = 0 if not len(below) else below[-1] + 1
    return min(FIRST + STEP * int(first), BUDGET)


def _figures(curves: dict[str, np.ndarray], params: Params) -> dict[str, float]:
    (crowd,) = params.feedback.simulated.values()
    rng = np.random.default_rng(0)
    figures: dict[str, float] = {}

    def add(name: str, values: np.ndarray) -> None:
        """A mean over seeds with its interval."""
        drawn = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        figures.update({name: values.mean(), f"{name} low": low, f"{name} high": high})
        print(f"{name:48} {values.mean():8.3f} [{low:.3f}, {high:.3f}]")

    for target in TARGETS:
        needed = {
            name: np.array([crowd.annotators * _needed(aucs, target) for aucs in rows]) for name, rows in curves.items()
        }
        for name, values in needed.items():
            add(f"judgements to AUC {target}, {name}", values)
        add(f"judgements to AUC {target}, active less random", needed["active"] - needed["random"])
        for name, rows in curves.items():
            figures[f"seeds that reach AUC {target}, {name}"] = float((rows[:, -1] >= target).sum())
    for pictures in (10, 20, 40, BUDGET):
        at = {name: rows[:, (pictures - FIRST) // STEP] for name, rows in curves.items()}
        for name, values in (at | {"active less random": at["active"] - at["random"]}).items():
            add(f"AUC at {crowd.annotators * pictures} judgements, {name}", values)
    return figures


if __name__ == "__main__":
    main()
