"""What the reward model learns from each kind of feedback, and how well it has: binary votes, or a ranking."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from hfi_core.compute.seeding import numpy_generator
from hfi_core.errors import UserError
from hfi_core.feedback.labels import Label, RankedPair
from hfi_core.metrics.ranking import Measured, Resampling, accuracy, auc, calibration_error, pair_accuracy, spearman
from hfi_core.params import Reward
from hfi_core.reward.model import RewardModel, batch_rows, bradley_terry, squared_error


class Task(Protocol):
    """Both kinds; `features` (N, D) has a row for each label, in the labels' order."""

    held_out: np.ndarray
    """Which pictures measure the model (N,), bool."""

    def loss(self, model: RewardModel, features: torch.Tensor, step: int) -> torch.Tensor:
        """What a step minimises, over pictures that are not held out."""
        ...

    def held_out_loss(self, model: RewardModel, features: torch.Tensor) -> torch.Tensor:
        """The same over the held-out pictures."""
        ...

    def measure(self, rewards: np.ndarray, how: Resampling) -> dict[str, Measured]:
        """Figures over the held-out pictures, from the rewards (N,) of all."""
        ...


def objective_for(
    kind: str, concept: str, labels: list[Label], pairs: list[RankedPair], settings: Reward, seed: int
) -> Task:
    """The task that labels pose.

    Raises UserError that says how to mend it if they are too few, or all alike.
    """
    if len(labels) < settings.least:
        raise UserError(
            f"{concept}: {len(labels)} pictures with labels to learn from; reward.least asks for {settings.least}.\n"
            "  To mend it: have more pictures judged, or lower feedback.minimum, attack.held_out or reward.least."
        )
    return _binary(concept, labels, settings, seed) if kind == "binary" else _ranking(
        concept, labels, pairs, settings, seed
    )  # fmt: skip


def split(classes: np.ndarray, held_out: float, seed: int) -> np.ndarray:
    """Which pictures are held out (N,), drawn a class apart so that each class is on both sides where it has two."""
    mask = np.zeros(len(classes), bool)
    for value in np.unique(classes):
        rows = np.flatnonzero(classes == value)
        count = min(max(1, round(held_out * len(rows))), len(rows) - 1)
        mask[numpy_generator(seed, "split", int(value)).permutation(rows)[:count]] = True
    return mask


@dataclass(frozen=True)
class BinaryTask:
    """Shares of votes, fitted by squared error. Split votes count for the loss and for calibration alone."""

    labels: np.ndarray
    held_out: np.ndarray
    seed: int

    def loss(self, model: RewardModel, features: torch.Tensor, step: int) -> torch.Tensor:
        """See `Task`."""
        learn = np.flatnonzero(~self.held_out)
        return self._error(model, features, learn[batch_rows(len(learn), step, self.seed)])

    def held_out_loss(self, model: RewardModel, features: torch.Tensor) -> torch.Tensor:
        """See `Task`."""
        return self._error(model, features, np.flatnonzero(self.held_out))

    def _error(self, model: RewardModel, features: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return squared_error(model(features[rows]), torch.from_numpy(self.labels[rows]).float())

    def measure(self, rewards: np.ndarray, how: Resampling) -> dict[str, Measured]:
        """See `Task`."""
        decided = self.held_out & (self.labels != 0.5)
        positive = self.labels[decided] > 0.5
        return {
            "auc": auc(rewards[decided], positive, how),
            "accuracy": accuracy(rewards[decided], positive, how),
            "calibration_error": calibration_error(rewards[self.held_out], self.labels[self.held_out], how),
        }


@dataclass(frozen=True)
class Pairs:
    """Rows of the pictures placed above and below, and how often (P,)."""

    above: np.ndarray
    below: np.ndarray
    weight: np.ndarray

    def where(self, mask: np.ndarray) -> "Pairs":
        """Those for which `mask` (P,) holds."""
        return Pairs(self.above[mask], self.below[mask], self.weight[mask])

    def nll(self, model: RewardModel, features: torch.Tensor, rows: np.ndarray | slice = slice(None)) -> torch.Tensor:
        """The Bradley-Terry loss of the pairs in `rows`."""
        scores = [model(features[side[rows]]) for side in (self.above, self.below)]
        return bradley_terry(*scores, torch.from_numpy(self.weight[rows]).float())


@dataclass(frozen=True)
class RankingTask:
    """Pairs of a ranking, fitted by Bradley-Terry. A pair across the split is used on neither side."""

    labels: np.ndarray
    held_out: np.ndarray
    learn: Pairs
    measured: Pairs
    decided: Pairs
    """Held-out pairs without ties: who was placed above more often, and by how much."""
    seed: int

    def loss(self, model: RewardModel, features: torch.Tensor, step: int) -> torch.Tensor:
        """See `Task`."""
        return self.learn.nll(model, features, batch_rows(len(self.learn.above), step, self.seed).numpy())

    def held_out_loss(self, model: RewardModel, features: torch.Tensor) -> torch.Tensor:
        """See `Task`."""
        return self.measured.nll(model, features)

    def measure(self, rewards: np.ndarray, how: Resampling) -> dict[str, Measured]:
        """See `Task`."""
        # Rows among the held-out pictures, which are what is drawn again.
        row = np.cumsum(self.held_out) - 1
        pairs = self.decided
        mine = rewards[self.held_out]
        return {
            "pair_accuracy": pair_accuracy(mine, row[pairs.above], row[pairs.below], pairs.weight, how),
            "spearman": spearman(mine, self.labels[self.held_out], how),
        }


def _binary(concept: str, labels: list[Label], settings: Reward, seed: int) -> BinaryTask:
    values = np.array([label.label for label in labels])
    for found, name, other in ((values > 0.5, "objectionable", "no"), (values < 0.5, "accepted", "yes")):
        if found.sum() < 2:
            raise UserError(
                f"{concept}: {int(found.sum())} of {len(labels)} labelled pictures are {name}, and the reward model "
                f"needs at least 2 of either kind: people answered {other!r} to the rest.\n"
                "  To mend it: have more pictures judged, or choose prompts whose pictures show both."
            )
    return BinaryTask(values, split(np.sign(values - 0.5), settings.held_out, seed), seed)


def _ranking(concept: str, labels: list[Label], pairs: list[RankedPair], settings: Reward, seed: int) -> RankingTask:
    row = {label.picture: k for k, label in enumerate(labels)}
    held_out = split(np.zeros(len(labels)), settings.held_out, seed)
    weights = {(row[p.above], row[p.below]): p.weight for p in pairs if p.above in row and p.below in row}
    known = _pairs(weights)
    decided = _pairs({(a, b): net for (a, b), w in weights.items() if (net := w - weights.get((b, a), 0.0)) > 0})
    if (
        not (~held_out[decided.above] & ~held_out[decided.below]).any()
        or not (held_out[decided.above] & held_out[decided.below]).any()
    ):
        raise UserError(
            f"{concept}: the rankings place too few pictures above others to learn from some and to measure on "
            f"others ({len(decided.above)} pairs without a tie).\n"
            "  To mend it: have more pictures ranked, in groups that overlap, or raise reward.held_out."
        )
    return RankingTask(
        labels=np.array([label.label for label in labels]),
        held_out=held_out,
        learn=known.where(~held_out[known.above] & ~held_out[known.below]),
        measured=known.where(held_out[known.above] & held_out[known.below]),
        decided=decided.where(held_out[decided.above] & held_out[decided.below]),
        seed=seed,
    )


def _pairs(weights: dict[tuple[int, int], float]) -> Pairs:
    rows = np.array(list(weights), dtype=np.intp).reshape(-1, 2)
    return Pairs(rows[:, 0], rows[:, 1], np.array(list(weights.values())))
