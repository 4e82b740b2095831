"""Compare two releases picture by picture, at the same prompts and seeds."""

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
"""The lines of a variant's `pictures.jsonl`."""


@dataclass(frozen=True)
class PairedDifference:
    """The difference between two releases in one share of pictures."""

    metric: str
    interval: Interval
    p: float
    """P-value of the exact two-sided McNemar test, not corrected for multiple tests."""

    @property
    def worsening(self) -> Interval:
        """The interval with the sign that makes a positive difference worse."""
        if direction_of(self.metric) == "down":
            return self.interval
        return Interval(-self.interval.value, -self.interval.high, -self.interval.low, self.interval.n)


def measure_difference(params: Params, metric: str, ours: Records, theirs: Records) -> PairedDifference:
    """Return our share minus theirs for a metric `NAME@SUITE`, with a bootstrap interval over prompts and seeds.

    Raises UserError if the pictures of the suite were not drawn at the same prompts and seeds, or if the judge gave no
    such verdicts.
    """
    name, _, suite = metric.partition("@")
    ours, theirs = ([record for record in records if record["suite"] == suite] for records in (ours, theirs))
    if not ours or [_request_key(record) for record in ours] != [_request_key(record) for record in theirs]:
        raise UserError(f"{metric}: the two releases were not drawn at the same prompts and seeds.")
    if any(record[name] is None for record in (*ours, *theirs)):
        raise UserError(f"{metric}: the judge does not compare pictures with prompts, so there is no such share.")
    first, second = (np.array([bool(record[name]) for record in records]) for records in (ours, theirs))
    interval = difference_interval(
        first.astype(int) - second.astype(int),
        np.array([record["prompt"] for record in ours]),
        resamples=params.evaluate.resamples,
        level=params.evaluate.level,
        rng=numpy_generator(params.seed, "pairing", metric),
    )
    return PairedDifference(metric, interval, mcnemar(first, second))


def _request_key(record: Mapping[str, Any]) -> tuple[int, str, int]:
    return record["index"], record["prompt"], record["seed"]
