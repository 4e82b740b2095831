"""Scores from pairwise comparisons with ties: Bradley & Terry (1952), extended by Davidson (1970)."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from hfi_core.feedback.labels import Pair

_PRIOR = 0.1  # precision of the normal prior: keeps pictures that always won, islands, and ties alone finite
_DECIMALS = 6  # scores nearer than this are one position


def davidson(pairs: Sequence[Pair], ties: float, pictures: Sequence[str]) -> np.ndarray:
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
