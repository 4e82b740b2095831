"""Check the gates of a release: bounds on figures, either absolute, as multiples of base, or against the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfi_core.errors import UserError
from hfi_core.evaluation.comparison import Records, measure_difference
from hfi_core.evaluation.definitions import direction_of, is_judged_share
from hfi_core.params import Gate, Params


@dataclass(frozen=True)
class GateResult:
    """The result of one gate."""

    metric: str
    passed: bool
    """Whether the value is within the bound."""
    conclusive: bool
    """Whether the whole interval is on the same side of the bound as the value."""
    description: str
    """The figure with its interval, and the bound."""

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'fail'}: {self.description}"


def check_gates(evaluation: Mapping[str, Any], variant: str, gates: Mapping[str, Gate]) -> list[GateResult]:
    """Check a variant's figures against the gates.

    The value decides whether a gate passes. The interval only decides whether the result is conclusive. Bounds against
    the champion are checked at promotion, not here.

    Raises UserError if the evaluation lacks the variant or a gate's metric.
    """
    metrics = {row["row"]: row["metrics"] for row in evaluation["rows"]}
    results = []
    for metric, gate in sorted(gates.items()):
        figure = _find_figure(metrics, variant, metric)
        if gate.not_worse_by is not None and not is_judged_share(metric):
            raise UserError(
                f"release.gates.{metric}.not_worse_by: only shares by the judge can be compared with a champion's."
            )
        if gate.has_bound:
            results.append(_check_gate(metric, gate, figure, metrics))
    return results


def _check_gate(metric: str, gate: Gate, figure: Mapping[str, Any], metrics: Mapping[str, Any]) -> GateResult:
    relation, bound = ("at most", gate.at_most) if gate.at_most is not None else ("at least", gate.at_least)
    if gate.not_worse_than_base_by is not None:
        base, down = _find_figure(metrics, "base", metric), direction_of(metric) == "down"
        relation, sign = ("at most", "+") if down else ("at least", "-")
        limit = base["value"] + gate.not_worse_than_base_by * (1 if down else -1)
        limit_text = f"{relation} {limit:.4g} (base {_format_interval(base)} {sign} {gate.not_worse_than_base_by:.4g})"
    else:
        assert bound is not None, "check_gates calls this only for gates that have a bound"
        limit, limit_text = bound, f"{relation} {bound:.4g}"
        if gate.of_base:
            base = _find_figure(metrics, "base", metric)
            limit = bound * base["value"]
            limit_text = f"{relation} {limit:.4g} ({bound:.4g} x base {_format_interval(base)})"

    def is_within(value: float) -> bool:
        return value <= limit if relation == "at most" else value >= limit

    passed = is_within(figure["value"])
    conclusive = is_within(figure["low"]) == is_within(figure["high"]) == passed
    return GateResult(metric, passed, conclusive, f"{_format_interval(figure)}, {limit_text}")


def _format_interval(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.4g} [{figure['low']:.4g}, {figure['high']:.4g}]"


def _find_figure(metrics: Mapping[str, Any], variant: str, metric: str) -> Mapping[str, Any]:
    if variant not in metrics:
        raise UserError(f"reports/evaluation.json has no row {variant!r}; it has {', '.join(metrics)}.")
    if metric not in metrics[variant]:
        raise UserError(f"release.gates.{metric}: no such figure; there are {', '.join(sorted(metrics[variant]))}.")
    return metrics[variant][metric]


def check_against_champion(params: Params, ours: Records, champion: Records) -> list[GateResult]:
    """Check a release's pictures against the champion's, at the same prompts and seeds (`not_worse_by`).

    This is a non-inferiority test: the whole interval of the paired difference must be within the bound, so a release
    with too few pictures fails. No correction for multiple tests is needed, because all gates must pass (Berger 1982).
    """
    gates = {
        metric: gate.not_worse_by for metric, gate in params.release.gates.items() if gate.not_worse_by is not None
    }
    return [_check_against_champion(params, metric, bound, ours, champion) for metric, bound in sorted(gates.items())]


def _check_against_champion(params: Params, metric: str, bound: float, ours: Records, champion: Records) -> GateResult:
    try:
        worsening = measure_difference(params, metric, ours, champion).worsening
    except UserError as error:
        return GateResult(metric, False, False, f"not comparable with the champion: {error}")
    passed = worsening.high <= bound
    interval = f"{worsening.value:.4g} [{worsening.low:.4g}, {worsening.high:.4g}]"
    description = f"worse than the champion by {interval}, at most {bound:.4g}"
    return GateResult(metric, passed, passed or worsening.low > bound, description)
