"""Gates of a release: bounds on figures of `reports/evaluation.json`, absolute or as multiples of base."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfi_core.errors import UserError
from hfi_core.evaluation.comparison import Records, measure_difference
from hfi_core.evaluation.definitions import is_share
from hfi_core.params import Gate, Params


@dataclass(frozen=True)
class GateResult:
    """What a gate says about a release."""

    metric: str
    passed: bool
    """The value keeps the bound."""
    sure: bool
    """The whole interval is on the value's side of the bound."""
    told: str
    """The figure with its interval, and the bound."""

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'fail'}: {self.told}"


def check_gates(evaluation: Mapping[str, Any], row: str, gates: Mapping[str, Gate]) -> list[GateResult]:
    """Hold a row's figures against the gates, by value; whether the interval agrees is told, not judged.

    Bounds against the champion are left out: they are asked when a release is promoted.
    Raises UserError if the evaluation lacks the row or a gate's metric.
    """
    rows = {entry["row"]: entry["metrics"] for entry in evaluation["rows"]}
    found = []
    for metric, gate in sorted(gates.items()):
        figure = _figure(rows, row, metric)
        if gate.not_worse_by is not None and not is_share(metric):
            raise UserError(f"release.gates.{metric}.not_worse_by: only shares of pictures can be compared in pairs.")
        if gate.has_bound:
            found.append(_verdict(metric, gate, figure, rows))
    return found


def _verdict(metric: str, gate: Gate, figure: Mapping[str, Any], rows: Mapping[str, Any]) -> GateResult:
    word, bound = ("at most", gate.at_most) if gate.at_most is not None else ("at least", gate.at_least)
    limit, shown = bound, f"{word} {bound:.4g}"
    if gate.of_base:
        base = _figure(rows, "base", metric)
        limit = bound * base["value"]
        shown = f"{word} {limit:.4g} ({bound:.4g} x base {_interval(base)})"

    def keeps(value: float) -> bool:
        return value <= limit if word == "at most" else value >= limit

    passed = keeps(figure["value"])
    sure = keeps(figure["low"]) == keeps(figure["high"]) == passed
    return GateResult(metric, passed, sure, f"{_interval(figure)}, {shown}")


def _interval(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.4g} [{figure['low']:.4g}, {figure['high']:.4g}]"


def _figure(rows: Mapping[str, Any], row: str, metric: str) -> Mapping[str, Any]:
    if row not in rows:
        raise UserError(f"reports/evaluation.json has no row {row!r}; it has {', '.join(rows)}.")
    if metric not in rows[row]:
        raise UserError(f"release.gates.{metric}: no such figure; there are {', '.join(sorted(rows[row]))}.")
    return rows[row][metric]


def check_against_champion(params: Params, ours: Records, champion: Records) -> list[GateResult]:
    """Hold a release's pictures against the champion's at the same prompts and seeds (`not_worse_by`).

    A test of non-inferiority: the whole interval of the paired difference must keep the bound, so too few pictures
    fail. All gates must pass, so no correction for several of them is needed (Berger 1982).
    """
    gates = {
        metric: gate.not_worse_by for metric, gate in params.release.gates.items() if gate.not_worse_by is not None
    }
    return [_against(params, metric, bound, ours, champion) for metric, bound in sorted(gates.items())]


def _against(params: Params, metric: str, bound: float, ours: Records, champion: Records) -> GateResult:
    try:
        worse = measure_difference(params, metric, ours, champion).worsening
    except UserError as error:
        return GateResult(metric, False, False, f"not comparable with the champion: {error}")
    passed = worse.high <= bound
    told = f"worse than the champion by {worse.value:.4g} [{worse.low:.4g}, {worse.high:.4g}], at most {bound:.4g}"
    return GateResult(metric, passed, passed or worse.low > bound, told)
