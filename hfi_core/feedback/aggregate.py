"""Many judgements become one label a picture: by share of votes, or by Bradley-Terry scores of a ranking."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, product

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from hfi_core.candidates import Candidate
from hfi_core.feedback.labels import Label, Pair
from hfi_core.feedback.ledger import Order, Tally
from hfi_core.feedback.parts import part_of

SHARE_OF_VOTES = "share of votes"
BRADLEY_TERRY = "Bradley-Terry scores, as normalised positions"

_PRIOR = 0.1  # precision of the scores' normal prior: keeps pictures that always won, and islands, finite
_DECIMALS = 6  # scores nearer than this are one position


def share_of_votes(
    tallies: Iterable[Tally], candidates: Mapping[str, Candidate], minimum: int, held_out: float
) -> list[Label]:
    """Label = yes / (yes + no), for pictures with `minimum` judgements of which one says yes or no."""
    return [
        Label(
            tally.picture, candidates[tally.picture].sha256, tally.yes / (tally.yes + tally.no),
            tally.yes, tally.no, tally.cant_tell, part_of(tally.picture, held_out),
        )
        for tally in tallies
        if tally.yes + tally.no and tally.yes + tally.no + tally.cant_tell >= minimum
    ]  # fmt: skip


@dataclass(frozen=True)
class Comparisons:
    """Every pair that rankings imply, sorted, and how often each picture was placed or could not be."""

    pairs: list[Pair]
    placed: Counter[str]
    not_applicable: Counter[str]


def compare(orders: Iterable[Order]) -> Comparisons:
    """Take rankings apart into pairs; a tie counts half in either direction."""
    weights: Counter[tuple[str, str]] = Counter()
    placed: Counter[str] = Counter()
    not_applicable: Counter[str] = Counter()
    for order in orders:
        for higher, lower in combinations(order.groups, 2):
            weights.update(product(higher, lower))
        for group in order.groups:
            for one, other in combinations(group, 2):
                weights[one, other] += 0.5
                weights[other, one] += 0.5
            placed.update(group)
        not_applicable.update(order.not_applicable)
    pairs = [Pair(above, below, float(weight)) for (above, below), weight in sorted(weights.items())]
    return Comparisons(pairs, placed, not_applicable)


def positions(
    comparisons: Comparisons, candidates: Mapping[str, Candidate], minimum: int, held_out: float
) -> list[Label]:
    """Label = position by Bradley-Terry score, 0 (weakest) to 1, of pictures compared and shown `minimum` times."""
    won, lost = defaultdict(float), defaultdict(float)
    for pair in comparisons.pairs:
        won[pair.above] += pair.weight
        lost[pair.below] += pair.weight
    compared = sorted(won.keys() | lost.keys())
    scores = dict(zip(compared, bradley_terry(comparisons.pairs, compared), strict=True))
    placed, not_applicable = comparisons.placed, comparisons.not_applicable
    labelled = [name for name in compared if placed[name] + not_applicable[name] >= minimum]
    ranks = rankdata([scores[name] for name in labelled])
    return [
        Label(
            name, candidates[name].sha256, float((rank - 1) / max(len(labelled) - 1, 1)),
            won[name], lost[name], not_applicable[name], part_of(name, held_out),
        )
        for name, rank in zip(labelled, ranks, strict=True)
    ]  # fmt: skip


def bradley_terry(pairs: Sequence[Pair], pictures: Sequence[str]) -> np.ndarray:
    """Scores s (N,) with P(i above j) = sigmoid(s_i - s_j) (Bradley & Terry 1952): the mode under a normal prior."""
    if not pairs:
        return np.zeros(len(pictures))
    index = {picture: i for i, picture in enumerate(pictures)}
    above = np.array([index[pair.above] for pair in pairs], dtype=np.intp)
    below = np.array([index[pair.below] for pair in pairs], dtype=np.intp)
    weight = np.array([pair.weight for pair in pairs])

    def loss(scores: np.ndarray) -> tuple[float, np.ndarray]:
        difference = scores[above] - scores[below]
        pull = weight * expit(-difference)
        count = len(pictures)
        slope = np.bincount(below, pull, count) - np.bincount(above, pull, count) + _PRIOR * scores
        return float(weight @ np.logaddexp(0, -difference) + 0.5 * _PRIOR * scores @ scores), slope

    found = minimize(loss, np.zeros(len(pictures)), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0})
    return np.round(found.x, _DECIMALS)


def vote_counts(tallies: Iterable[Tally]) -> np.ndarray:
    """(pictures, 2): how often each was answered yes and no; "can't tell" is no vote."""
    return np.array([[tally.yes, tally.no] for tally in tallies]).reshape(-1, 2)


def shared_sets(orders: Iterable[Order]) -> Iterable[np.ndarray]:
    """For pictures that several annotators ranked: (annotators, pictures) places, of those that all of them placed.

    `orders` come with rankings of the same pictures one after the other.
    """
    for _, same in groupby(orders, key=lambda order: order.subject):
        places = [{name: k for k, group in enumerate(order.groups) for name in group} for order in same]
        common = sorted(set.intersection(*(set(place) for place in places)))
        if len(places) > 1 and len(common) > 1:
            yield np.array([[place[name] for name in common] for place in places])
