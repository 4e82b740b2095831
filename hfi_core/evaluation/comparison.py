"""Two releases at the same prompts and seeds: how their pictures' verdicts differ, pair by pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfi_core.compute.seeding import numpy_generator
from hfi_core.errors import UserError
from hfi_core.evaluation.definitions import direction_of
from hfi_core.metrics.intervals import Interval, difference_interval
from hfi_core.metrics.paired_tests import mcnemar
from hfi_core.params import Params

Records = Sequence[Mapping[str, Any]]
"""A row's `pictures.jsonl`."""


@dataclass(frozen=True)
class PairedDifference:
    """What one release's share is above the other's."""

    metric: str
    interval: Interval
    p: float
    """Exact McNemar, two-sided, not corrected."""

    @property
    def worsening(self) -> Interval:
        """The same, counted so that more is worse."""
        if direction_of(self.metric) == "down":
            return self.interval
        found = self.interval
        return Interval(-found.value, -found.high, -found.low, found.n)


def measure_difference(params: Params, metric: str, ours: Records, theirs: Records) -> PairedDifference:
    """Ours less theirs on the metric's suite.

    Raises UserError if the two were not drawn at the same prompts and seeds.
    """
    name, _, suite = metric.partition("@")
    mine, other = ([one for one in rows if one["suite"] == suite] for rows in (ours, theirs))
    if not mine or [_asked(one) for one in mine] != [_asked(one) for one in other]:
        raise UserError(f"{metric}: the two were not drawn at the same prompts and seeds.")
    first, second = (np.array([bool(one[name]) for one in rows]) for rows in (mine, other))
    interval = difference_interval(
        first.astype(int) - second.astype(int),
        np.array([one["prompt"] for one in mine]),
        resamples=params.evaluate.resamples,
        level=params.evaluate.level,
        rng=numpy_generator(params.seed, "pairing", metric),
    )
    return PairedDifference(metric, interval, mcnemar(first, second))


def _asked(record: Mapping[str, Any]) -> tuple[int, str, int]:
    return record["index"], record["prompt"], record["seed"]
