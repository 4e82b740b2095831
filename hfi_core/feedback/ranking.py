"""Aggregate rankings to a label per picture: split them into pairs, fit scores, and sort the pictures by score."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, product

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from hfi_core.candidates.manifest import Candidate
from hfi_core.feedback.labels import Label, RankedPair, assign_split
from hfi_core.feedback.ledger import Ranking
from hfi_core.io.hashing import sha256_of_json

_PRIOR = 0.1  # precision of the normal prior; keeps scores finite if a picture always won, or all are tied
_SET_DIGITS = 16
_DECIMALS = 6  # scores that are equal after rounding share a position


def fit_davidson(pairs: Sequence[RankedPair], ties: float, pictures: Sequence[str]) -> np.ndarray:
    """Fit the scores s (N,) of Davidson's (1970) model of paired comparisons, as the mode under a weak normal prior.

    With v the strength of ties,

        P(i above j) = e^s_i / Z,  P(tie) = v e^((s_i + s_j) / 2) / Z,  Z the sum of the three.

    A tie enters the scores' equations as half a win for either side, so `pairs` (ties as halves) and the number of
    `ties` are sufficient. Without ties v is 0, and this is Bradley & Terry's model. It is our own code because the
    libraries of pairwise models (choix 0.4, crowd-kit 1.4) do not support ties.
    """
    count = len(pictures)
    if not pairs:
        return np.zeros(count)
    index = {picture: i for i, picture in enumerate(pictures)}
    above = np.array([index[pair.above] for pair in pairs], dtype=np.intp)
    below = np.array([index[pair.below] for pair in pairs], dtype=np.intp)
    weight = np.array([pair.weight for pair in pairs])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scores, log_v = parameters[:-1], parameters[-1] if ties else -np.inf
        difference = scores[above] - scores[below]
        tied = log_v - difference / 2
        log_z = np.logaddexp(np.logaddexp(0, -difference), tied)  # Z / e^s_i
        p_lost, p_tied = np.exp(-difference - log_z), np.exp(tied - log_z)
        force = weight * (p_lost + p_tied / 2)
        gradient = np.empty_like(parameters)
        gradient[:-1] = np.bincount(below, force, count) - np.bincount(above, force, count)
        gradient[-1] = weight @ p_tied - ties
        nll = weight @ log_z - (ties * log_v if ties else 0)
        return float(nll + 0.5 * _PRIOR * parameters @ parameters), gradient + _PRIOR * parameters

    optimum = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0})
    return np.round(optimum.x[:-1], _DECIMALS)


BRADLEY_TERRY = "Bradley-Terry scores with ties (Davidson), as normalised positions"


@dataclass(frozen=True)
class Comparisons:
    """All pairs that rankings imply, sorted, the ties by pair, and how often each picture was ranked or not applicable.

    A pair that occurs in several sets of pictures is there once for each.
    """

    pairs: list[RankedPair]
    ties: Counter[tuple[str, str]]
    ranked: Counter[str]
    not_applicable: Counter[str]


def count_comparisons(rankings: Iterable[Ranking]) -> Comparisons:
    """Split rankings into pairs and count them. A tie counts half in either direction."""
    weights: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    ties: Counter[tuple[str, str]] = Counter()
    ranked: Counter[str] = Counter()
    not_applicable: Counter[str] = Counter()
    for ranking in rankings:
        ranked_set = sha256_of_json(ranking.subject)[:_SET_DIGITS]
        for higher, lower in combinations(ranking.groups, 2):
            for above, below in product(higher, lower):
                weights[above, below, ranked_set] += 1
        for group in ranking.groups:
            for first, second in combinations(group, 2):
                weights[first, second, ranked_set] += 0.5
                weights[second, first, ranked_set] += 0.5
                ties[first, second] += 1
            ranked.update(group)
        not_applicable.update(ranking.not_applicable)
    pairs = [RankedPair(above, below, float(weight), of) for (above, below, of), weight in sorted(weights.items())]
    return Comparisons(pairs, ties, ranked, not_applicable)


def make_ranking_labels(
    comparisons: Comparisons,
    candidates: Mapping[str, Candidate],
    minimum: int,
    for_attacks: float,
    for_judge: float = 0.0,
) -> list[Label]:
    """Make a label for each picture that was compared, and shown at least `minimum` times.

    The label is the picture's position by score, from 0 (weakest) to 1 (strongest). Labels to learn from follow from
    pairs of such pictures alone, those of another part from its pairs as well: else the first would depend on answers
    that are held out.
    """
    shown = comparisons.ranked + comparisons.not_applicable
    part_of = {name: assign_split(name, for_attacks, for_judge) for name in comparisons.ranked}
    labels = []
    for part in set(part_of.values()):
        known = {name for name, own in part_of.items() if own in ("learn", part)}
        pairs = [pair for pair in comparisons.pairs if pair.above in known and pair.below in known]
        won, lost = _sum_weights(pairs)
        compared = sorted(won.keys() | lost.keys())
        ties = sum(count for tied, count in comparisons.ties.items() if known.issuperset(tied))
        scores = dict(zip(compared, fit_davidson(pairs, ties, compared), strict=True))
        labelled = [name for name in compared if shown[name] >= minimum]
        labels += [
            Label(
                name, candidates[name].sha256, float((rank - 1) / max(len(labelled) - 1, 1)),
                won[name], lost[name], comparisons.not_applicable[name], part,
            )
            for name, rank in zip(labelled, rankdata([scores[name] for name in labelled]), strict=True)
            if part_of[name] == part
        ]  # fmt: skip
    return sorted(labels, key=lambda label: label.picture)


def _sum_weights(pairs: Iterable[RankedPair]) -> tuple[defaultdict[str, float], defaultdict[str, float]]:
    """Return how often each picture was ranked above others, and how often below; a tie is half of each."""
    won: defaultdict[str, float] = defaultdict(float)
    lost: defaultdict[str, float] = defaultdict(float)
    for pair in pairs:
        won[pair.above] += pair.weight
        lost[pair.below] += pair.weight
    return won, lost


def collect_rank_matrices(rankings: Iterable[Ranking]) -> Iterable[np.ndarray]:
    """Yield the ranks (annotators, pictures) of each set of pictures that several annotators ranked.

    Only pictures that all of them ranked are included. `rankings` have to be sorted by subject.
    """
    for _, rankings_of_set in groupby(rankings, key=lambda ranking: ranking.subject):
        ranks = [{name: k for k, group in enumerate(ranking.groups) for name in group} for ranking in rankings_of_set]
        common = sorted(set.intersection(*(set(rank_of) for rank_of in ranks)))
        if len(ranks) > 1 and len(common) > 1:
            yield np.array([[rank_of[name] for name in common] for rank_of in ranks])
