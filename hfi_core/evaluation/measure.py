"""From evaluated rows to `reports/evaluation.json`: every figure with its interval, every two rows compared."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from hfi_core.compute.seeding import numpy_generator
from hfi_core.evaluation.definitions import COMPARED, FIGURES, SHARES
from hfi_core.evaluation.records import EvaluatedVariant
from hfi_core.evaluation.shots import REINVERTED
from hfi_core.metrics.distances import cosine_drift, kid_interval, pixel_drift
from hfi_core.metrics.intervals import Interval, difference_interval, mean_interval, share_interval
from hfi_core.metrics.paired_tests import holm, mcnemar
from hfi_core.params import Params
from hfi_core.progress import Progress

SCHEMA = 1
_DECIMALS = 6


def build_evaluation(
    params: Params, rows: Sequence[EvaluatedVariant], feedback: Mapping[str, Mapping[str, Any]], progress: Progress
) -> dict[str, Any]:
    """The content of `reports/evaluation.json`; the first of `rows` is base, `feedback` the summaries by concept."""
    measured = []
    for done, row in enumerate(rows):
        removal = params.removals[row.row]
        measured.append(
            {
                "row": row.row,
                "method": removal.method,
                "condition": getattr(removal, "condition", None),
                "metrics": _metrics(params, row, rows[0]),
                "attackers": _attackers(row),
            }
        )
        progress(done + 1, len(rows), "measuring rows")
    return {
        "schema": SCHEMA,
        "rows": measured,
        "comparisons": _comparisons(params, rows),
        "provenance": _provenance(params, rows, feedback),
    }


def _metrics(params: Params, row: EvaluatedVariant, base: EvaluatedVariant) -> dict[str, dict[str, Any]]:
    found = {}
    for figure in FIGURES:
        for suite in figure.suites:
            if figure.name == "kid" and len(row.places[suite]) < 2:
                continue  # one picture has no distribution
            interval = _measure(params, figure.name, suite, row, base)
            found[f"{figure.name}@{suite}"] = _rounded(interval) | {"direction": figure.direction}
    return found


def _measure(params: Params, name: str, suite: str, row: EvaluatedVariant, base: EvaluatedVariant) -> Interval:
    how = _how(params, name, suite)
    # What attackers get differs by more than their pictures do, so several of them are what is drawn from.
    cluster = "attacker" if suite == REINVERTED and params.attack.attackers > 1 else "prompt"
    clusters, places = row.column(suite, cluster), row.places[suite]
    if name in SHARES:
        return share_interval(row.column(suite, name), clusters, **how)
    if name == "kid":
        return kid_interval(row.features[places], base.features[places], clusters, **how)
    if name == "drift":
        values = cosine_drift(row.features[places], base.features[places])
    elif name == "drift_pixels":
        values = pixel_drift(row.each_picture(suite), base.each_picture(suite))
    else:
        values = row.column(suite, name)
    return mean_interval(values, clusters, **how)


def _attackers(row: EvaluatedVariant) -> dict[str, float]:
    """The share of each attacker's pictures that is flagged, by his name."""
    names, flagged = row.column(REINVERTED, "attacker"), row.column(REINVERTED, "flagged")
    return {name: round(float(flagged[names == name].mean()), _DECIMALS) for name in dict.fromkeys(names.tolist())}


def _how(params: Params, *key: str) -> dict[str, Any]:
    """One generator a figure, the same for every row: equal rows get equal intervals."""
    rng = numpy_generator(params.seed, "compare", *key)
    return {"resamples": params.evaluate.resamples, "level": params.evaluate.level, "rng": rng}


def _comparisons(params: Params, rows: Sequence[EvaluatedVariant]) -> list[dict[str, Any]]:
    """Each two rows at equal prompts and seeds: the later one's figure less the earlier one's."""
    found = []
    for metric in COMPARED:
        name, suite = metric.split("@")
        for against, row in combinations(rows, 2):
            ours, theirs = row.column(suite, name), against.column(suite, name)
            how = _how(params, "difference", metric)
            interval = difference_interval(ours.astype(int) - theirs.astype(int), row.column(suite, "prompt"), **how)
            shown = _rounded(interval)
            found.append(
                {"metric": metric, "row": row.row, "against": against.row, "difference": shown.pop("value")}
                | shown
                | {"p": mcnemar(ours, theirs)}
            )
    for comparison, adjusted in zip(found, holm([comparison["p"] for comparison in found]), strict=True):
        comparison["p_holm"] = adjusted
    return found


def _rounded(interval: Interval) -> dict[str, Any]:
    return {
        key: value if key == "n" else float(np.round(value, _DECIMALS)) + 0.0 for key, value in asdict(interval).items()
    }


def _provenance(
    params: Params, rows: Sequence[EvaluatedVariant], feedback: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What is the same for all rows once; each row's own digests, and all in which rows `differ`, under its name."""
    keys = list(dict.fromkeys(key for row in rows for key in row.provenance if key not in _BY_ROW))
    alike = [key for key in keys if all(row.provenance.get(key) == rows[0].provenance.get(key) for row in rows)]
    differ = [key for key in keys if key not in alike]
    own = [key for key in _BY_ROW if key != "row"] + differ
    evaluate = params.evaluate
    return {key: rows[0].provenance[key] for key in alike} | {
        "differ": differ,
        "rows": {row.row: {key: row.provenance.get(key) for key in own} for row in rows},
        "suites": {suite: spec.model_dump(mode="json") for suite, spec in evaluate.suites.items()}
        | {"reinverted": {"pictures": evaluate.reinverted, "attack": params.attack.model_dump(mode="json")}},
        "removals": {name: removal.model_dump(mode="json") for name, removal in params.removals.items()},
        "concepts": {name: concept.model_dump(mode="json") for name, concept in params.concepts.items()},
        "feedback": {
            name: {"sha256": summary["feedback_sha256"], "simulated": summary["simulated"]}
            for name, summary in feedback.items()
        },
        "intervals": {
            "level": evaluate.level,
            "resamples": evaluate.resamples,
            "method": "two-stage bootstrap over prompts (reinverted, with several attackers: over those) and their "
            "seeds, percentiles; Wilson's where a share is 0 or 1; for kid the basic interval from the same resamples",
        },
        "tests": {"test": "exact McNemar, two-sided", "correction": "Holm over all comparisons"},
    }


_BY_ROW = ("row", "weights_sha256", "reinverted_sha256")
