"""How far annotators agree, corrected for chance."""

from collections.abc import Iterable

import numpy as np
from scipy.stats import rankdata


def krippendorff_alpha(counts: np.ndarray) -> float | None:
    """Krippendorff's alpha for nominal data (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    `counts` (U, C) holds how often each unit got each value; missing answers are simply not counted. 1 is perfect
    agreement, 0 what chance gives. None where it is undefined: no unit was judged twice, or all values are equal.
    """
    paired = counts[counts.sum(1) > 1].astype(np.float64)
    if not len(paired):
        return None
    votes = paired.sum(1, keepdims=True)
    # Coincidence matrix o_ck: every ordered pair of votes in a unit, weighted 1 / (m_u - 1).
    coincidences = (paired / (votes - 1)).T @ paired - np.diag((paired / (votes - 1)).sum(0))
    totals = coincidences.sum(1)
    n = totals.sum()
    expected = (n**2 - (totals**2).sum()) / (n - 1)
    observed = n - np.trace(coincidences)
    return float(1 - observed / expected) if expected > 0 else None


def kendalls_w(scores: np.ndarray) -> float | None:
    """Kendall's W (Kendall & Babington Smith 1939), corrected for ties, of complete rankings.

    `scores` (annotators, pictures), any numbers of which the order counts. 1 is perfect agreement, 0 none. None where
    it is undefined: fewer than two annotators or pictures, or all tied.
    """
    annotators, pictures = scores.shape
    if annotators < 2 or pictures < 2:
        return None
    ranks = rankdata(scores, axis=1)
    spread = ((ranks.sum(0) - annotators * (pictures + 1) / 2) ** 2).sum()
    ties = sum(((count := np.unique(row, return_counts=True)[1]) ** 3 - count).sum() for row in ranks)
    most = annotators**2 * (pictures**3 - pictures) - annotators * ties
    return float(12 * spread / most) if most > 0 else None


def mean_kendalls_w(sets: Iterable[np.ndarray]) -> float | None:
    """Kendall's W of each set of pictures that several annotators ranked, averaged; None if there is no such set."""
    values = [w for scores in sets if (w := kendalls_w(scores)) is not None]
    return float(np.mean(values)) if values else None
