"""The training objectives of the reward model: one for binary votes, one for rankings."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from hfi_core.compute.seeding import numpy_generator
from hfi_core.errors import UserError
from hfi_core.feedback.labels import Label, RankedPair
from hfi_core.metrics.ranking import Measurement, Resampling, accuracy, auc, calibration_error, pair_accuracy, spearman
from hfi_core.params import Reward

BATCH = 1024
"""Pictures or pairs that one step learns from. A smaller set is used whole."""

FEW_PAIRS = 50
"""With fewer held-out pairs, the standard error of their accuracy is above .04 at .9."""

Logits = Callable[[torch.Tensor], torch.Tensor]
"""The reward model: embeddings (N, D) to logits (N,)."""


def squared_error(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return L = mean (r - y)^2, y the share of votes (HFI, section 3). At its minimum, r is the expected share."""
    return (logits.sigmoid() - labels).square().mean()


def bradley_terry(above: torch.Tensor, below: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return L = - mean log sigmoid(f+ - f-) over pairs, + ranked above - (Bradley & Terry 1952; HFI, section 3)."""
    return -(weight * F.logsigmoid(above - below)).sum() / weight.sum()


def draw_batch(count: int, step: int, seed: int) -> torch.Tensor:
    """Return the rows of the training set that one step learns from."""
    if count <= BATCH:
        return torch.arange(count)
    return torch.from_numpy(numpy_generator(seed, "batch", step).choice(count, BATCH, replace=False))


class Objective(Protocol):
    """The training objective for one kind of feedback. `features` (N, D) has one row per label, in the same order."""

    @property
    def held_out(self) -> np.ndarray:
        """Return which pictures are held out to measure the model, bool (N,)."""
        ...

    def loss(self, model: Logits, features: torch.Tensor, step: int) -> torch.Tensor:
        """Return the loss of one step, over pictures that are not held out."""
        ...

    def held_out_loss(self, model: Logits, features: torch.Tensor) -> torch.Tensor:
        """Return the loss over the held-out pictures."""
        ...

    def measure(self, rewards: np.ndarray, resampling: Resampling) -> dict[str, Measurement]:
        """Measure the held-out pictures; `rewards` (N,) are those of all pictures."""
        ...


def make_objective(
    kind: str, concept: str, labels: Sequence[Label], pairs: Sequence[RankedPair], settings: Reward, seed: int
) -> Objective:
    """Return the objective for the labels of a concept.

    Raises UserError, which says how to fix it, if there are too few labels or if all labels are alike.
    """
    if len(labels) < settings.least:
        raise UserError(
            f"{concept}: {len(labels)} pictures with labels to learn from; reward.least asks for {settings.least}.\n"
            "  To fix this: have more pictures judged, or lower feedback.minimum, feedback.held_out_for_attacks, "
            "feedback.held_out_for_judge or reward.least."
        )
    if kind == "binary":
        return _binary_objective(concept, labels, settings, seed)
    return _ranking_objective(concept, labels, pairs, settings, seed)


def split_held_out(classes: np.ndarray, held_out: float, seed: int) -> np.ndarray:
    """Choose the pictures to hold out, bool (N,). Each class of two pictures or more is on both sides of the split."""
    mask = np.zeros(len(classes), bool)
    for value in np.unique(classes):
        rows = np.flatnonzero(classes == value)
        count = min(max(1, round(held_out * len(rows))), len(rows) - 1)
        mask[numpy_generator(seed, "split", int(value)).permutation(rows)[:count]] = True
    return mask


def split_rankings(pictures: Sequence[str], pairs: Sequence[RankedPair], held_out: float, seed: int) -> np.ndarray:
    """Choose the pictures to hold out, bool (N,): those of whole sets that were ranked together.

    A pair with one picture on each side of the split serves neither side. With a quarter of the pictures chosen one by
    one, that is .375 of the pairs, and only .06 are left to measure on. Sets that several people ranked come first. If
    every set is too large, pictures are chosen one by one.
    """
    row = {picture: k for k, picture in enumerate(pictures)}
    members: defaultdict[str, set[int]] = defaultdict(set)
    weights: defaultdict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if pair.above in row and pair.below in row:
            members[pair.ranking] |= {row[pair.above], row[pair.below]}
            weights[pair.ranking].append(pair.weight)
    names = sorted(members)
    shuffled = numpy_generator(seed, "rankings").permutation(len(names))
    rankers = [sum(weights[names[k]]) / (len(members[names[k]]) * (len(members[names[k]]) - 1) / 2) for k in shuffled]
    most, chosen = round(held_out * len(pictures)), set[int]()
    for _, k in sorted(zip(rankers, shuffled, strict=True), key=lambda pair: -pair[0]):
        if len(chosen | members[names[k]]) <= most:
            chosen |= members[names[k]]
    if not chosen:
        return split_held_out(np.zeros(len(pictures)), held_out, seed)
    mask = np.zeros(len(pictures), bool)
    mask[list(chosen)] = True
    return mask


@dataclass(frozen=True)
class BinaryObjective:
    """Fit shares of votes by squared error. Tied votes count only for the loss and for the calibration error."""

    labels: np.ndarray
    held_out: np.ndarray
    seed: int

    def loss(self, model: Logits, features: torch.Tensor, step: int) -> torch.Tensor:
        """See `Objective`."""
        learn = np.flatnonzero(~self.held_out)
        return self._error(model, features, learn[draw_batch(len(learn), step, self.seed)])

    def held_out_loss(self, model: Logits, features: torch.Tensor) -> torch.Tensor:
        """See `Objective`."""
        return self._error(model, features, np.flatnonzero(self.held_out))

    def _error(self, model: Logits, features: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return squared_error(model(features[rows]), torch.from_numpy(self.labels[rows]).float())

    def measure(self, rewards: np.ndarray, resampling: Resampling) -> dict[str, Measurement]:
        """See `Objective`."""
        return measure_binary(rewards[self.held_out], self.labels[self.held_out], resampling)


@dataclass(frozen=True)
class Pairs:
    """Pairs of a ranking: rows of the pictures placed above and below, and how often; each (P,)."""

    above: np.ndarray
    below: np.ndarray
    weight: np.ndarray

    def where(self, mask: np.ndarray) -> "Pairs":
        """Return the pairs for which `mask`, bool (P,), is true."""
        return Pairs(self.above[mask], self.below[mask], self.weight[mask])

    def nll(self, model: Logits, features: torch.Tensor, rows: np.ndarray | slice = slice(None)) -> torch.Tensor:
        """Return the Bradley-Terry loss of the pairs in `rows`."""
        above, below = model(features[self.above[rows]]), model(features[self.below[rows]])
        return bradley_terry(above, below, torch.from_numpy(self.weight[rows]).float())


@dataclass(frozen=True)
class RankingObjective:
    """Fit the pairs of a ranking by Bradley-Terry. A pair with one picture on each side of the split is not used."""

    labels: np.ndarray
    held_out: np.ndarray
    learn: Pairs
    measured: Pairs
    decided: Pairs
    """Held-out pairs without ties: which picture was placed above more often, and by how much."""
    seed: int

    def loss(self, model: Logits, features: torch.Tensor, step: int) -> torch.Tensor:
        """See `Objective`."""
        return self.learn.nll(model, features, draw_batch(len(self.learn.above), step, self.seed).numpy())

    def held_out_loss(self, model: Logits, features: torch.Tensor) -> torch.Tensor:
        """See `Objective`."""
        return self.measured.nll(model, features)

    def measure(self, rewards: np.ndarray, resampling: Resampling) -> dict[str, Measurement]:
        """See `Objective`."""
        # Row numbers among the held-out pictures: the bootstrap resamples those.
        row = np.cumsum(self.held_out) - 1
        decided = Pairs(row[self.decided.above], row[self.decided.below], self.decided.weight)
        return measure_ranking(rewards[self.held_out], self.labels[self.held_out], decided, resampling)


def measure_binary(rewards: np.ndarray, labels: np.ndarray, resampling: Resampling) -> dict[str, Measurement]:
    """Measure the rewards (N,) of held-out pictures against their labels (N,), shares of votes."""
    decided = labels != 0.5
    positive = labels[decided] > 0.5
    return {
        "auc": auc(rewards[decided], positive, resampling),
        "accuracy": accuracy(rewards[decided], positive, resampling),
        "calibration_error": calibration_error(rewards, labels, resampling),
    }


def measure_ranking(
    rewards: np.ndarray, labels: np.ndarray, decided: Pairs, resampling: Resampling
) -> dict[str, Measurement]:
    """Measure the rewards (N,) of held-out pictures against their labels (N,) and the pairs among them without ties."""
    return {
        "pair_accuracy": pair_accuracy(rewards, decided.above, decided.below, decided.weight, resampling),
        "spearman": spearman(rewards, labels, resampling),
    }


def decide_pairs(pictures: Sequence[str], pairs: Sequence[RankedPair]) -> Pairs:
    """Return which of these pictures was placed above which more often, by row, and by how much; without ties."""
    weights = _weights(pictures, pairs)
    return _pairs({(a, b): net for (a, b), w in weights.items() if (net := w - weights.get((b, a), 0.0)) > 0})


def _weights(pictures: Sequence[str], pairs: Sequence[RankedPair]) -> dict[tuple[int, int], float]:
    row = {picture: k for k, picture in enumerate(pictures)}
    weights: defaultdict[tuple[int, int], float] = defaultdict(float)
    for pair in pairs:
        if pair.above in row and pair.below in row:
            weights[row[pair.above], row[pair.below]] += pair.weight
    return weights


def _binary_objective(concept: str, labels: Sequence[Label], settings: Reward, seed: int) -> BinaryObjective:
    values = np.array([label.label for label in labels])
    for mask, name, other in ((values > 0.5, "objectionable", "no"), (values < 0.5, "accepted", "yes")):
        if mask.sum() < 2:
            raise UserError(
                f"{concept}: {int(mask.sum())} of {len(labels)} labelled pictures are {name}, and the reward model "
                f"needs at least 2 of either kind: people answered {other!r} to the rest.\n"
                "  To fix this: have more pictures judged, or choose prompts whose pictures show both."
            )
    return BinaryObjective(values, split_held_out(np.sign(values - 0.5), settings.held_out, seed), seed)


def _ranking_objective(
    concept: str, labels: Sequence[Label], pairs: Sequence[RankedPair], settings: Reward, seed: int
) -> RankingObjective:
    pictures = [label.picture for label in labels]
    held_out = split_rankings(pictures, pairs, settings.held_out, seed)
    known, decided = _pairs(_weights(pictures, pairs)), decide_pairs(pictures, pairs)
    if (
        not (~held_out[decided.above] & ~held_out[decided.below]).any()
        or not (held_out[decided.above] & held_out[decided.below]).any()
    ):
        raise UserError(
            f"{concept}: the rankings place too few pictures above others to learn from some and to measure on "
            f"others ({len(decided.above)} pairs without a tie).\n"
            "  To fix this: have more pictures ranked, in groups that overlap, or raise reward.held_out."
        )
    measured = decided.where(held_out[decided.above] & held_out[decided.below])
    if len(measured.above) < FEW_PAIRS:
        warnings.warn(
            f"{concept}: only {len(measured.above)} pairs of held-out pictures choose the step at which the reward "
            "model stops, and measure it. To fix this: have more pictures ranked, or raise reward.held_out.",
            UserWarning,
            stacklevel=2,
        )
    return RankingObjective(
        labels=np.array([label.label for label in labels]),
        held_out=held_out,
        learn=known.where(~held_out[known.above] & ~held_out[known.below]),
        measured=known.where(held_out[known.above] & held_out[known.below]),
        decided=measured,
        seed=seed,
    )


def _pairs(weights: dict[tuple[int, int], float]) -> Pairs:
    rows = np.array(list(weights), dtype=np.intp).reshape(-1, 2)
    return Pairs(rows[:, 0], rows[:, 1], np.array(list(weights.values())))
