"""Compute `reports/evaluation.json`: every figure with its interval, and the comparison of every two variants."""

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
    params: Params,
    variants: Sequence[EvaluatedVariant],
    feedback: Mapping[str, Mapping[str, Any]],
    progress: Progress,
) -> dict[str, Any]:
    """Return the content of `reports/evaluation.json`.

    `variants` starts with base. `feedback` holds each concept's `labels/CONCEPT/summary.json`.
    """
    rows = []
    for number, variant in enumerate(variants, start=1):
        removal = params.removals[variant.name]
        rows.append(
            {
                "row": variant.name,
                "method": removal.method,
                "condition": getattr(removal, "condition", None),
            }
            | measure_variant(params, variant, variants[0])
        )
        progress(number, len(variants), "measuring rows")
    return {
        "schema": SCHEMA,
        "rows": rows,
        "comparisons": compare_variants(params, variants),
        "provenance": _describe_provenance(params, variants, feedback),
    }


def measure_variant(params: Params, variant: EvaluatedVariant, base: EvaluatedVariant) -> dict[str, Any]:
    """Measure the figures of every suite that was drawn of a variant."""
    attackers = _measure_attackers(variant) if REINVERTED in variant.positions else {}
    return {"metrics": _measure_figures(params, variant, base), "attackers": attackers}


def _measure_figures(params: Params, variant: EvaluatedVariant, base: EvaluatedVariant) -> dict[str, dict[str, Any]]:
    figures = {}
    for figure in FIGURES:
        for suite in [suite for suite in figure.suites if suite in variant.positions]:
            if figure.name == "kid" and len(variant.positions[suite]) < 2:
                continue  # the unbiased estimate needs two pictures
            interval = _measure_figure(params, figure.name, suite, variant, base)
            figures[f"{figure.name}@{suite}"] = _rounded(interval) | {"direction": figure.direction}
    return figures


def _measure_figure(
    params: Params, name: str, suite: str, variant: EvaluatedVariant, base: EvaluatedVariant
) -> Interval:
    settings = _bootstrap_settings(params, name, suite)
    # Results differ more between attackers than between one attacker's pictures: with several, resample attackers.
    cluster = "attacker" if suite == REINVERTED and params.attack.attackers > 1 else "prompt"
    clusters, positions = variant.column(suite, cluster), variant.positions[suite]
    if name in SHARES:
        return share_interval(variant.column(suite, name), clusters, **settings)
    if name == "kid":
        return kid_interval(variant.features[positions], base.features[positions], clusters, **settings)
    if name == "drift":
        values = cosine_drift(variant.features[positions], base.features[positions])
    elif name == "drift_pixels":
        values = pixel_drift(variant.iterate_pictures(suite), base.iterate_pictures(suite))
    else:
        values = variant.column(suite, name)
    return mean_interval(values, clusters, **settings)


def _measure_attackers(variant: EvaluatedVariant) -> dict[str, float]:
    """Return the share of flagged pictures by attacker."""
    names, flagged = variant.column(REINVERTED, "attacker"), variant.column(REINVERTED, "flagged")
    return {name: round(float(flagged[names == name].mean()), _DECIMALS) for name in dict.fromkeys(names.tolist())}


def _bootstrap_settings(params: Params, *key: str) -> dict[str, Any]:
    """Return the settings of a figure's interval. Every variant gets the same generator: equal data, equal interval."""
    rng = numpy_generator(params.seed, "compare", *key)
    return {"resamples": params.evaluate.resamples, "level": params.evaluate.level, "rng": rng}


def compare_variants(params: Params, variants: Sequence[EvaluatedVariant]) -> list[dict[str, Any]]:
    """Compare every two variants at equal prompts and seeds: the later one's share minus the earlier one's."""
    comparisons = []
    for metric in COMPARED:
        name, suite = metric.split("@")
        for reference, variant in combinations(variants, 2):
            ours, theirs = variant.column(suite, name), reference.column(suite, name)
            settings = _bootstrap_settings(params, "difference", metric)
            differences = ours.astype(int) - theirs.astype(int)
            interval = _rounded(difference_interval(differences, variant.column(suite, "prompt"), **settings))
            comparisons.append(
                {"metric": metric, "row": variant.name, "against": reference.name, "difference": interval.pop("value")}
                | interval
                | {"p": mcnemar(ours, theirs)}
            )
    adjusted = holm([comparison["p"] for comparison in comparisons])
    return [comparison | {"p_holm": p} for comparison, p in zip(comparisons, adjusted, strict=True)]


def _rounded(interval: Interval) -> dict[str, Any]:
    return {
        key: value if key == "n" else float(np.round(value, _DECIMALS)) + 0.0 for key, value in asdict(interval).items()
    }


_PER_VARIANT = ("row", "weights_sha256", "reinverted_sha256")
"""Keys of a variant's provenance that always belong to this variant alone."""


def _describe_provenance(
    params: Params, variants: Sequence[EvaluatedVariant], feedback: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return common entries once, and below `rows` each variant's own entries and all entries that `differ`."""
    base = variants[0].provenance
    keys = list(dict.fromkeys(key for variant in variants for key in variant.provenance if key not in _PER_VARIANT))
    common = [key for key in keys if all(variant.provenance.get(key) == base.get(key) for variant in variants)]
    differ = [key for key in keys if key not in common]
    own = [key for key in _PER_VARIANT if key != "row"] + differ
    evaluate = params.evaluate
    return {key: base[key] for key in common} | {
        "differ": differ,
        "rows": {variant.name: {key: variant.provenance.get(key) for key in own} for variant in variants},
        "suites": {suite: spec.model_dump(mode="json") for suite, spec in evaluate.suites.items()}
        | {"reinverted": {"pictures": evaluate.reinverted, "attack": params.attack.model_dump(mode="json")}},
        # Without `source`: it may be a path of this machine, and the digest says which weights it held.
        "removals": {
            name: removal.model_dump(mode="json", exclude={"source"}) for name, removal in params.removals.items()
        },
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
