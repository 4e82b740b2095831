"""Read techniques at equal removal: what a curve keeps where it comes down to a level of flagged pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from hfi_core.compute.seeding import numpy_generator
from hfi_core.evaluation.definitions import first_suite, metrics_on
from hfi_core.evaluation.records import EvaluatedVariant, is_judged
from hfi_core.metrics.intervals import percentile_interval, resample_means, zero_share_bound
from hfi_core.metrics.paired_tests import holm
from hfi_core.params import Params
from hfi_core.params.attacks import WORST
from hfi_core.params.curves import describe_strength

READ_AT_LEVELS = (("kept", "broad"), ("kept", "neighbours"), ("correct", "unrelated"))
"""Shares that are read at equal removal, each on every suite of a role. What attacks on the text condition get is read,
too: of two removals of equal strength, one may be undone more easily."""
_DECIMALS = 6


def interpolate_at(flagged: np.ndarray, shares: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the shares where curves first come down to a level of flagged pictures; NaN where they never do.

    It is linear between the two neighbouring points, and nothing is extrapolated.

    Args:
        flagged: (..., P), along each curve from base to the strongest point.
        shares: (..., P), of the same points.
        level: (...), below the flagged share of base.
    """
    reached = flagged <= level[..., None]
    after = np.maximum(reached.argmax(-1), 1)[..., None]
    high, low = (np.take_along_axis(flagged, at, -1)[..., 0] for at in (after - 1, after))
    before, behind = (np.take_along_axis(shares, at, -1)[..., 0] for at in (after - 1, after))
    crossed = reached.any(-1) & ~reached[..., 0]
    part = np.divide(high - level, high - low, out=np.zeros_like(level), where=crossed)
    return np.where(crossed, before + part * (behind - before), np.nan)


def list_shown_rows(params: Params, curves: Mapping[str, Any]) -> list[str]:
    """List the rows to show one by one: those beside the curves, the released one, and one of each curve."""
    of_curves = set(params.evaluate.rows_of_curves)
    chosen = {curve["levels"][0]["nearest"] for curve in curves["curves"]} | {params.release.row}
    return [row for row in params.removals if row in chosen or row not in of_curves]


def build_curves(
    params: Params, variants: Sequence[EvaluatedVariant], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return `curves` of `reports/evaluation.json`: points, shares at equal removal, and v* against the text.

    The intervals are over pictures and prompts, which are drawn jointly for all rows, and over repetitions of the
    training. `variants` starts with base; `rows` are the measured rows of the evaluation.
    """
    reader = _Reader(params, variants)
    measured = {row["row"]: row for row in rows}
    names = [name for name in (reader.flagged, *reader.read, f"flagged@{WORST}") if name in rows[0]["metrics"]]
    values = {row["row"]: {name: row["metrics"][name]["value"] for name in names} for row in rows}
    curves = [
        {
            "curve": curve,
            "method": measured[repetitions[0][0]]["method"],
            "condition": measured[repetitions[0][0]]["condition"],
            "repetitions": len(repetitions),
            "points": [
                {"row": row, "repetition": number, "strength": describe_strength(row, repetition, params.removals)}
                | values[row]
                for number, repetition in enumerate(repetitions, start=1)
                for row in repetition
            ],
            "levels": [_describe_level(reader, curve, level, repetitions[0], values) for level in reader.levels],
        }
        for curve, repetitions in params.evaluate.curves.items()
    ]
    return {
        "flagged": reader.flagged,
        "read": reader.read,
        "base": values["base"],
        "curves": curves,
        "comparisons": _compare_conditions(reader, curves),
    }


def _describe_level(
    reader: "_Reader", curve: str, level: str, repetition: Sequence[str], values: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    target = reader.levels[level] * values["base"][reader.flagged]
    distances = {row: abs(values[row][reader.flagged] - target) for row in repetition}
    shares = {metric: reader.read_at(curve, level, metric) for metric in reader.read}
    return {
        "level": level,
        "flagged": round(target, _DECIMALS),
        "resamples_reached": round(float(np.isfinite(shares[reader.read[0]].resampled).mean()), _DECIMALS),
        "nearest": min(distances, key=distances.__getitem__),
        "metrics": {metric: reader.describe(metric, share) for metric, share in shares.items()},
    }


@dataclass(frozen=True)
class _ReadShare:
    """A share at a level: of the pictures as they are, and of each resample. NaN: not reached."""

    value: float
    resampled: np.ndarray


class _Reader:
    """Reads curves at levels, with one set of resamples for all of them."""

    def __init__(self, params: Params, variants: Sequence[EvaluatedVariant]):
        roles = {name: suite.role for name, suite in params.evaluate.suites.items()}
        self.flagged = f"flagged@{first_suite('broad', roles)}"
        # A judge that does not read prompts has no `correct`.
        named = [(metric, *metric.partition("@")[::2]) for metric in metrics_on(READ_AT_LEVELS, roles)]
        attacks = [name for name, attack in params.attacks.items() if attack.acts_on == "condition"]
        self.read = [metric for metric, figure, suite in named if is_judged(figure, suite, variants[0])]
        self.read += [f"flagged@{name}" for name in attacks if all(name in variant.positions for variant in variants)]
        self.levels = params.evaluate.removal_levels
        self._params = params
        self._count = {metric: len(variants[0].positions[metric.split("@")[1]]) for metric in self.read}
        rows = {"base", *params.evaluate.rows_of_curves}
        self._shares = {
            (variant.name, metric): self._resample(variant, metric)
            for variant in variants
            if variant.name in rows
            for metric in (self.flagged, *self.read)
        }

    def _resample(self, variant: EvaluatedVariant, metric: str) -> np.ndarray:
        """Return a share as it is, and after it those of all resamples. All rows draw the same pictures of a suite."""
        name, _, suite = metric.partition("@")
        values = variant.column(suite, name).astype(float)
        rng = numpy_generator(self._params.seed, "curves", suite)
        resamples = self._params.evaluate.resamples
        means = resample_means(values, variant.column(suite, "prompt"), resamples=resamples, rng=rng)
        return np.concatenate([[values.mean()], means])

    def _follow(self, rows: Sequence[str], metric: str) -> np.ndarray:
        """Return a share along a curve from base on, (1 + resamples, points)."""
        return np.stack([self._shares[row, metric] for row in ("base", *rows)], -1)

    def read_at(self, curve: str, level: str, metric: str) -> _ReadShare:
        """Read a share where a curve has come down to a part of base's flagged pictures: the repetitions' mean."""
        target = self.levels[level] * self._shares["base", self.flagged]
        repetitions = self._params.evaluate.curves[curve]
        curves = ((self._follow(rows, self.flagged), self._follow(rows, metric)) for rows in repetitions)
        shares = np.stack([interpolate_at(flagged, values, target) for flagged, values in curves])
        # The draws do not depend on metric and level, so that what a repetition has in common stays together.
        rng = numpy_generator(self._params.seed, "curves", "repetitions", curve)
        chosen = rng.integers(0, len(repetitions), (len(repetitions), len(target) - 1))
        return _ReadShare(float(shares[:, 0].mean()), np.take_along_axis(shares[:, 1:], chosen, 0).mean(0))

    def describe(self, metric: str, share: _ReadShare, least: float = 0.0) -> dict[str, Any] | None:
        """Return a share, or a difference (`least` is -1), with its interval; None if a repetition does not reach it.

        The interval is of the resamples that reach it.
        """
        finite = share.resampled[np.isfinite(share.resampled)]
        if not np.isfinite(share.value) or not len(finite):
            return None
        found = percentile_interval(share.value, finite, self._params.evaluate.level, self._count[metric])
        low, high = found.low, found.high
        if low == high:  # all resamples are equal, which would claim certainty
            length = zero_share_bound(found.n, self._params.evaluate.level)
            low, high = max(least, low - length), min(1.0, high + length)
        numbers = {"value": found.value, "low": low, "high": high}
        return {key: round(float(number), _DECIMALS) + 0.0 for key, number in numbers.items()} | {"n": found.n}


def _compare_conditions(reader: _Reader, curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Compare v* with the text at equal removal, for every method that has a curve under both.

    The p-value is that of the bootstrap: twice the smaller part of the resamples on one side of zero (Davison &
    Hinkley 1997, section 4.4). Holm's correction is over all that could be compared.
    """
    found: list[dict[str, Any]] = []
    for curve, against, level, metric in product(curves, curves, reader.levels, reader.read):
        if (curve["condition"], against["condition"]) != ("token", "text") or curve["method"] != against["method"]:
            continue
        ours, theirs = (reader.read_at(one["curve"], level, metric) for one in (curve, against))
        difference = _ReadShare(ours.value - theirs.value, ours.resampled - theirs.resampled)
        described = reader.describe(metric, difference, least=-1.0)
        entry = {"curve": curve["curve"], "against": against["curve"], "level": level, "metric": metric}
        if described is None:
            found.append(entry | {"difference": None})
            continue
        finite = difference.resampled[np.isfinite(difference.resampled)]
        fewer = int(min((finite <= 0).sum(), (finite >= 0).sum()))
        p = round(min(1.0, 2 * (1 + fewer) / (1 + len(finite))), _DECIMALS)
        found.append(entry | {"difference": described.pop("value")} | described | {"p": p})
    adjusted = iter(holm([entry["p"] for entry in found if "p" in entry]))
    return [entry | {"p_holm": next(adjusted)} if "p" in entry else entry for entry in found]
