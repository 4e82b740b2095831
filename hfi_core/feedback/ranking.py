"""Rankings become a label a picture: taken apart into pairs, scored, and put in order."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, product

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.labels import Label, RankedPair, split_of
from hfi_core.feedback.ledger import Order

_PRIOR = 0.1  # precision of the normal prior: keeps pictures that always won, islands, and ties alone finite
_DECIMALS = 6  # scores nearer than this are one position


def fit_davidson(pairs: Sequence[RankedPair], ties: float, pictures: Sequence[str]) -> np.ndarray:
    """Scores s (N,): the mode under a weak normal prior of Davidson's (1970) model, with v the strength of ties,

        P(i above j) = e^s_i / Z,  P(tie) = v e^((s_i + s_j) / 2) / Z,  Z the sum of the three.

    A tie enters the scores' equations as half a win for either, so `pairs` with ties as halves and the number of
    `ties` are all that it needs. Without a tie v is 0, and this is Bradley & Terry's model. It is written here because
    the libraries of pairwise models (choix 0.4, crowd-kit 1.4) know no ties.
    """
    count = len(pictures)
    if not pairs:
        return np.zeros(count)
    index = {picture: i for i, picture in enumerate(pictures)}
    above = np.array([index[pair.above] for pair in pairs], dtype=np.intp)
    below = np.array([index[pair.below] for pair in pairs], dtype=np.intp)
    weight = np.array([pair.weight for pair in pairs])

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        scores, log_v = point[:-1], point[-1] if ties else -np.inf
        difference = scores[above] - scores[below]
        tied = log_v - difference / 2
        log_z = np.logaddexp(np.logaddexp(0, -difference), tied)  # Z / e^s_i
        p_lost, p_tied = np.exp(-difference - log_z), np.exp(tied - log_z)
        pull = weight * (p_lost + p_tied / 2)
        slope = np.empty_like(point)
        slope[:-1] = np.bincount(below, pull, count) - np.bincount(above, pull, count)
        slope[-1] = weight @ p_tied - ties
        value = weight @ log_z - (ties * log_v if ties else 0)
        return float(value + 0.5 * _PRIOR * point @ point), slope + _PRIOR * point

    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0})
    return np.round(found.x[:-1], _DECIMALS)


BRADLEY_TERRY = "Bradley-Terry scores with ties (Davidson), as normalised positions"


@dataclass(frozen=True)
class Comparisons:
    """Every pair that rankings imply, sorted, and how often each picture was placed or could not be."""

    pairs: list[RankedPair]
    ties: int
    placed: Counter[str]
    not_applicable: Counter[str]


def compare(orders: Iterable[Order]) -> Comparisons:
    """Take rankings apart into pairs; a tie counts half in either direction."""
    weights: Counter[tuple[str, str]] = Counter()
    ties = 0
    placed: Counter[str] = Counter()
    not_applicable: Counter[str] = Counter()
    for order in orders:
        for higher, lower in combinations(order.groups, 2):
            weights.update(product(higher, lower))
        for group in order.groups:
            for one, other in combinations(group, 2):
                weights[one, other] += 0.5
                weights[other, one] += 0.5
                ties += 1
            placed.update(group)
        not_applicable.update(order.not_applicable)
    pairs = [RankedPair(above, below, float(weight)) for (above, below), weight in sorted(weights.items())]
    return Comparisons(pairs, ties, placed, not_applicable)


def positions(
    comparisons: Comparisons, candidates: Mapping[str, Candidate], minimum: int, held_out: float
) -> list[Label]:
    """Label = position by score, 0 (weakest) to 1, of pictures compared and shown `minimum` times."""
    won, lost = defaultdict(float), defaultdict(float)
    for pair in comparisons.pairs:
        won[pair.above] += pair.weight
        lost[pair.below] += pair.weight
    compared = sorted(won.keys() | lost.keys())
    scores = dict(zip(compared, fit_davidson(comparisons.pairs, comparisons.ties, compared), strict=True))
    placed, not_applicable = comparisons.placed, comparisons.not_applicable
    labelled = [name for name in compared if placed[name] + not_applicable[name] >= minimum]
    ranks = rankdata([scores[name] for name in labelled])
    return [
        Label(
            name, candidates[name].sha256, float((rank - 1) / max(len(labelled) - 1, 1)),
            won[name], lost[name], not_applicable[name], split_of(name, held_out),
        )
        for name, rank in zip(labelled, ranks, strict=True)
    ]  # fmt: skip


def shared_sets(orders: Iterable[Order]) -> Iterable[np.ndarray]:
    """For pictures that several annotators ranked: (annotators, pictures) places, of those that all of them placed.

    `orders` come with rankings of the same pictures one after the other.
    """
    for _, same in groupby(orders, key=lambda order: order.subject):
        places = [{name: k for k, group in enumerate(order.groups) for name in group} for order in same]
        common = sorted(set.intersection(*(set(place) for place in places)))
        if len(places) > 1 and len(common) > 1:
            yield np.array([[place[name] for name in common] for place in places])
