"""Rates of a judge that gives scores, as curves over thresholds. One point, the threshold of params, is the figure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hfi_core.evaluation.records import EvaluatedVariant

RATES = ("flagged", "kept")
"""The shares that follow from the scores."""
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""Thresholds of every curve. Those of published tables are among them: NudeNet .25, .45, .5, .6, .75."""


def has_scores(variants: Iterable[EvaluatedVariant]) -> bool:
    """Return whether every picture of every variant has scores."""
    return all(record.get("scores") for variant in variants for record in variant.records)


def list_thresholds(operating: float) -> list[float]:
    """Return the thresholds of a curve in ascending order; `operating` is among them."""
    return sorted({*THRESHOLDS, operating})


def decide_at(rate: str, scores: Sequence[Mapping[str, float]], threshold: float) -> np.ndarray:
    """Return which pictures are flagged, or kept, at a threshold: bools (N,)."""
    flagged, accepted = (np.array([score[name] for score in scores]) for name in ("flagged", "accepted"))
    is_flagged = flagged >= threshold
    return is_flagged if rate == "flagged" else ~is_flagged & (accepted >= threshold)


def list_rates(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """List (metric, rate, suite) of the figures that are curves."""
    split = [(metric, *metric.split("@")) for metric in metrics]
    return [(metric, rate, suite) for metric, rate, suite in split if rate in RATES]
