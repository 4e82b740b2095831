"""Count the judgements that reach a reward AUC: pictures chosen by the reward model next to pictures at random.

The candidates are those of the embedded world, and the annotators are simulated. So the figures say how the choice
works there, and nothing more. For each of 20 seeds the readable candidates are split: 30 % measure, and the annotators
judge from the rest. Both ways begin with the same random pictures and go on in equal steps. Three annotators judge each
picture, the label is the share of votes, and the reward model of `params.yaml` learns from all labels so far. The AUC
is taken on the pictures that measure, against what the annotators' judge reads without errors. A target is reached at
the first number of judgements from which the AUC stays at or above it. A seed that does not reach it within the budget
counts as the whole budget. "Active" also takes its share of random pictures, as `hfi feedback select` does. Intervals:
95 %, paired bootstrap over seeds.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks import machine
from benchmarks.results import Figure
from hfi_core.candidates.manifest import read_manifest
from hfi_core.compute.device import configure_torch
from hfi_core.compute.seeding import derive_seed, numpy_generator
from hfi_core.embedded.networks import load_judge_network
from hfi_core.embedded.simulated_crowd import answer_questions, draw_annotators, view_candidates
from hfi_core.feedback.labels import Label
from hfi_core.models.weights import locate_pinned
from hfi_core.params import Params
from hfi_core.reward.active_learning import spread_out, uncertainty
from hfi_core.reward.model import RewardModel, embed_candidates, train_model
from hfi_core.reward.objectives import make_objective

CONCEPT = "badge"
SEEDS = 20
FIRST, STEP, BUDGET = 5, 5, 60
"""Pictures: in the first round, in each later one, and in all. Few, as 20 teach the reward model all of this world."""
MEASURED = 0.3
RANDOM_SHARE = 0.2
TARGETS = (0.9, 0.95, 0.98)
LEAST = 4
"""Least number of labels from which the reward model learns; small, so that early rounds count."""
_RESAMPLES = 10_000

Choose = Callable[[np.ndarray, np.ndarray, np.ndarray, int, np.random.Generator], list[int]]
"""Rewards and embeddings of unjudged pictures, embeddings of judged ones, how many to choose: rows of the choice."""


def at_random(rewards, features, known, count, rng) -> list[int]:
    """Choose at random."""
    return rng.permutation(len(rewards))[:count].tolist()


def actively(rewards, features, known, count, rng) -> list[int]:
    """Choose as `hfi feedback select` does: a share at random, the rest uncertain and spread out."""
    drawn = at_random(rewards, features, known, round(RANDOM_SHARE * count), rng)
    uncertain = uncertainty(rewards, "binary")
    uncertain[drawn] = 0
    return drawn + spread_out(uncertain, features, np.concatenate([known, features[drawn]]), count - len(drawn))


def measure() -> dict[str, Figure]:
    """Choose in both ways on every seed."""
    params = machine.project_params()
    configure_torch(params.compute)
    folder = Path("candidates") / CONCEPT
    (crowd,) = params.feedback.simulated.values()
    judge = load_judge_network(locate_pinned(crowd.source, crowd.revision, crowd.digest, "annotators"))
    impressions = [seen for seen in view_candidates(judge, folder, read_manifest(folder)) if seen.emblem_readable]
    features = embed_candidates(params, folder, [seen.picture for seen in impressions], lambda *_: None)
    truth = np.array([seen.flagged > 0.5 for seen in impressions])

    curves = {"active": [], "random": []}
    for seed in range(SEEDS):
        shares = _shares(params, impressions, seed)
        for name, choose in (("active", actively), ("random", at_random)):
            curves[name].append(_curve(params, features, shares, truth, choose, seed))
        needed = ", ".join(f"{name} {_needed(rows[-1], TARGETS[1])}" for name, rows in curves.items())
        print(f"seed {seed}: pictures to AUC {TARGETS[1]}: {needed}", flush=True)
    return _figures({name: np.array(rows) for name, rows in curves.items()}, params)


def _shares(params: Params, impressions, seed: int) -> np.ndarray:
    """Share of yes (N,) among the answers of a crowd of this seed; NaN where everybody answered `cant_tell`."""
    (crowd,) = params.feedback.simulated.values()
    values = {"yes": 1.0, "no": 0.0, "cant_tell": np.nan}
    judgements = [
        answer_questions(person, CONCEPT, impressions, seed) for person in draw_annotators("crowd", crowd, seed)
    ]
    votes = np.array([[values[judgement.answer] for judgement in by_one] for by_one in judgements])
    counted = np.isfinite(votes).sum(0)
    return np.where(counted, np.nansum(votes, 0) / np.maximum(counted, 1), np.nan)


def _curve(params: Params, features, shares, truth, choose: Choose, seed: int) -> list[float]:
    """Measure the AUC after every round of one way."""
    order = numpy_generator("active-selection", "split", seed).permutation(len(truth))
    cut = round(MEASURED * len(truth))
    measured, pool = order[:cut], order[cut:]
    vectors, aucs = features.double().numpy(), []
    judged = pool[:FIRST].tolist()
    while True:
        rewards = _fit(params, features, shares, judged, seed)
        aucs.append(0.5 if rewards is None else float(roc_auc_score(truth[measured], rewards[measured])))
        if len(judged) >= BUDGET:
            return aucs
        rest = np.setdiff1d(pool, judged)
        rng = numpy_generator("active-selection", "choose", seed, len(judged))
        if rewards is None:
            rewards = np.full(len(truth), 0.5)
        judged += rest[choose(rewards[rest], vectors[rest], vectors[judged], STEP, rng)].tolist()


def _fit(params: Params, features: torch.Tensor, shares: np.ndarray, judged: list[int], seed: int) -> np.ndarray | None:
    """Rewards (N,) of all pictures after learning from the labels so far; None where nearly all have the same label."""
    rows = [row for row in judged if np.isfinite(shares[row])]
    if min((shares[rows] > 0.5).sum(), (shares[rows] < 0.5).sum()) < 2:
        return None
    labels = [Label(str(row), "", float(shares[row]), 0, 0, 0, "learn") for row in rows]
    settings = params.reward.model_copy(update={"least": LEAST})
    task = make_objective("binary", CONCEPT, labels, [], settings, derive_seed("active-selection", seed))
    labelled = features[rows]
    learn = torch.from_numpy(~task.held_out)
    model = RewardModel.start(labelled[learn], settings.hidden, derive_seed("active-selection", seed, "start"))
    train_model(
        model, lambda step: task.loss(model, labelled, step), lambda: task.held_out_loss(model, labelled), settings
    )
    return model.rewards(features).double().numpy()


def _needed(aucs, target: float) -> int:
    """Count the judged pictures from which the AUC stays at the target; the whole budget where it does not."""
    below = np.flatnonzero(np.array(aucs) < target)
    first = 0 if not len(below) else below[-1] + 1
    return min(FIRST + STEP * int(first), BUDGET)


def _figures(curves: dict[str, np.ndarray], params: Params) -> dict[str, Figure]:
    (crowd,) = params.feedback.simulated.values()
    rng = np.random.default_rng(0)
    figures: dict[str, Figure] = {}

    def add(name: str, values: np.ndarray) -> None:
        """Add a mean over seeds with its interval."""
        drawn = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        figures[name] = Figure(float(values.mean()), float(low), float(high), len(values))

    for target in TARGETS:
        needed = {
            name: np.array([crowd.annotators * _needed(aucs, target) for aucs in rows]) for name, rows in curves.items()
        }
        for name, values in needed.items():
            add(f"judgements to AUC {target}, {name}", values)
        add(f"judgements to AUC {target}, active less random", needed["active"] - needed["random"])
        for name, rows in curves.items():
            figures[f"seeds that reach AUC {target}, {name}"] = Figure(int((rows[:, -1] >= target).sum()), n=len(rows))
    for pictures in (10, 20, 40, BUDGET):
        at = {name: rows[:, (pictures - FIRST) // STEP] for name, rows in curves.items()}
        for name, values in (at | {"active less random": at["active"] - at["random"]}).items():
            add(f"AUC at {crowd.annotators * pictures} judgements, {name}", values)
    return figures
