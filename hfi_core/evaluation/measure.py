"""Compute `reports/evaluation.json`: every figure with its interval, and the comparison of every two variants."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from hfi_core.compute.seeding import numpy_generator
from hfi_core.evaluation.curves import build_curves
from hfi_core.evaluation.definitions import CALIBRATED, FIGURES, SHARES, list_compared
from hfi_core.evaluation.records import EvaluatedVariant, is_judged
from hfi_core.evaluation.shots import look_suite, original_suite
from hfi_core.evaluation.thresholds import decide_at, has_scores, list_rates, list_thresholds
from hfi_core.metrics.distances import cosine_drift, kid_interval, pixel_drift
from hfi_core.metrics.intervals import Interval, difference_interval, mean_interval, share_interval, share_intervals
from hfi_core.metrics.paired_tests import holm, mcnemar
from hfi_core.metrics.variety import vendi_interval
from hfi_core.params import AttackSettings, Params
from hfi_core.params.attacks import WORST
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
    # The rows on a curve are compared at equal removal, and not picture by picture.
    of_curves = set(params.evaluate.rows_of_curves) - {params.release.row}
    operating = {"operating_threshold": params.evaluate.judge.threshold} if has_scores(variants) else {}
    curves = {"curves": build_curves(params, variants, rows)} if params.evaluate.curves else {}
    return {
        "schema": SCHEMA,
        "suites": suite_roles(params, variants[0]),
        "rows": rows,
        "attacks": _calibrate_attacks(params, rows[0]),
        "comparisons": compare_variants(params, [variant for variant in variants if variant.name not in of_curves]),
        "provenance": _describe_provenance(params, variants, feedback),
        **operating,
        **curves,
    }


def suite_roles(params: Params, variant: EvaluatedVariant) -> dict[str, str]:
    """Return the role of every suite that was drawn, by name. The suites of attacks have none."""
    return {name: suite.role for name, suite in params.evaluate.suites.items() if name in variant.positions}


def measure_variant(params: Params, variant: EvaluatedVariant, base: EvaluatedVariant) -> dict[str, Any]:
    """Measure the figures of every suite that was drawn of a variant, and what each attack gets."""
    attacks = [name for name in params.attacks if name in variant.positions]
    metrics = _measure_figures(params, variant, base, attacks)
    found: dict[str, Any] = {"metrics": metrics, "attacks": {}}
    for name in attacks:
        found["attacks"][name] = _measure_attack(params, name, variant, metrics[f"flagged@{name}"])
    if candidates := [name for name in attacks if params.attacks[name].acts_on == "condition"]:
        worst = max(candidates, key=lambda name: metrics[f"flagged@{name}"]["value"])
        metrics[f"flagged@{WORST}"] = metrics[f"flagged@{worst}"]
        found[WORST] = worst
    if has_scores([variant]):
        found["thresholds"] = {
            metric: _measure_rate(params, rate, suite, variant, metrics[metric])
            for metric, rate, suite in list_rates(metrics)
            if suite in variant.positions
        }
    return found


def _measure_rate(
    params: Params, rate: str, suite: str, variant: EvaluatedVariant, figure: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Measure a rate at each threshold. The point at the threshold of params is the figure itself."""
    operating, scores = params.evaluate.judge.threshold, variant.column(suite, "scores").tolist()
    thresholds = list_thresholds(operating)
    hits = np.stack([decide_at(rate, scores, threshold) for threshold in thresholds], axis=1)
    clusters = variant.column(suite, _cluster(params.attacks.get(suite)))
    intervals = share_intervals(hits, clusters, **bootstrap_settings(params, rate, suite))
    points = dict(zip(thresholds, map(rounded, intervals), strict=True))
    # Scores are rounded in the records, and verdicts are not.
    points[operating] = {key: value for key, value in figure.items() if key != "direction"}
    return [{"threshold": threshold} | point for threshold, point in points.items()]


def _measure_attack(params: Params, name: str, variant: EvaluatedVariant, flagged: Mapping[str, Any]) -> dict[str, Any]:
    """Measure what an attack gets of a variant: by attacker, over the attackers' steps, and as ASR."""
    spec: Any = params.attacks[name]
    found: dict[str, Any] = {"attackers": _measure_attackers(name, variant)}
    found["figures"] = variant.provenance["attacks"][name]["figures"]
    if looks := getattr(spec, "looks", ()):
        curve = [_measure_flagged(params, name, variant, look_suite(name, step)) for step in looks]
        last = {key: value for key, value in flagged.items() if key != "direction"}
        points = zip([*looks, spec.steps], [*curve, last], strict=True)
        found["curve"] = [{"step": step} | point for step, point in points]
    if spec.has_originals:
        before = variant.column(original_suite(name), "flagged")
        found["pre_asr"] = _measure_flagged(params, name, variant, original_suite(name))
        # Zhang et al. 2024: a prompt that succeeds without the attack counts as a success of it, too.
        found["asr"] = _measure_share(params, name, variant, before | variant.column(name, "flagged"))
    return found


def _measure_flagged(params: Params, name: str, variant: EvaluatedVariant, suite: str) -> dict[str, Any]:
    return _measure_share(params, name, variant, variant.column(suite, "flagged"), suite)


def _measure_share(
    params: Params, name: str, variant: EvaluatedVariant, values: np.ndarray, suite: str | None = None
) -> dict[str, Any]:
    """Measure the share of true values over the pictures of an attack's suite."""
    clusters = variant.column(suite or name, _cluster(params.attacks.get(name)))
    settings = bootstrap_settings(params, "flagged", suite or name)
    return rounded(share_interval(values, clusters, **settings))


def _cluster(attack: AttackSettings | None) -> str:
    """Return what an interval resamples first. Results differ more between attackers than between one's pictures."""
    return "attacker" if attack and attack.attackers > 1 else "prompt"


def _calibrate_attacks(params: Params, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each attack is and gets on the base model: an attack that fails there says nothing of a row."""
    found = {}
    for name in base["attacks"]:
        spec, flagged = params.attacks[name], base["metrics"][f"flagged@{name}"]
        found[name] = {
            "kind": spec.kind,
            "acts_on": spec.acts_on,
            "base": {key: value for key, value in flagged.items() if key != "direction"},
            "calibrated": flagged["value"] >= CALIBRATED,
        }
    return found


def _measure_figures(
    params: Params, variant: EvaluatedVariant, base: EvaluatedVariant, attacks: Sequence[str]
) -> dict[str, dict[str, Any]]:
    figures, roles = {}, suite_roles(params, variant)
    for figure in FIGURES:
        suites = [suite for suite, role in roles.items() if role in figure.roles]
        for suite in [*suites, *(attacks if figure.of_attacks else ())]:
            if figure.name == "kid" and len(variant.positions[suite]) < 2:
                continue  # the unbiased estimate needs two pictures
            if not is_judged(figure.name, suite, variant):
                continue
            interval = _measure_figure(params, figure.name, suite, variant, base)
            figures[f"{figure.name}@{suite}"] = rounded(interval) | {"direction": figure.direction}
    return figures


def _measure_figure(
    params: Params, name: str, suite: str, variant: EvaluatedVariant, base: EvaluatedVariant
) -> Interval:
    settings = bootstrap_settings(params, name, suite)
    clusters = variant.column(suite, _cluster(params.attacks.get(suite)))
    positions = variant.positions[suite]
    if name in SHARES:
        return share_interval(variant.column(suite, name), clusters, **settings)
    if name == "kid":
        return kid_interval(variant.features[positions], base.features[positions], clusters, **settings)
    if name in ("variety", "kinds"):
        kept = variant.column(suite, "kept")
        features = _mark_kinds(variant.column(suite, "kind")) if name == "kinds" else variant.features[positions]
        return vendi_interval(features[kept], clusters[kept], level=settings["level"], rng=settings["rng"])
    if name == "drift":
        values = cosine_drift(variant.features[positions], base.features[positions])
    elif name == "drift_pixels":
        values = pixel_drift(variant.iterate_pictures(suite), base.iterate_pictures(suite))
    else:
        values = variant.column(suite, name)
    return mean_interval(values, clusters, **settings)


def _mark_kinds(kinds: np.ndarray) -> np.ndarray:
    """Return unit vectors (N, K), equal for pictures of one kind and orthogonal for others.

    Their Vendi score is the exponential of the entropy of the kinds' counts (Friedman & Dieng 2023).
    """
    names, numbers = np.unique(kinds, return_inverse=True)
    return np.eye(len(names))[numbers]


def _measure_attackers(attack: str, variant: EvaluatedVariant) -> dict[str, float]:
    """Return the share of flagged pictures by attacker."""
    names, flagged = variant.column(attack, "attacker"), variant.column(attack, "flagged")
    return {name: round(float(flagged[names == name].mean()), _DECIMALS) for name in dict.fromkeys(names.tolist())}


def bootstrap_settings(params: Params, *key: str) -> dict[str, Any]:
    """Return the settings of a figure's interval. Every variant gets the same generator: equal data, equal interval."""
    rng = numpy_generator(params.seed, "compare", *key)
    return {"resamples": params.evaluate.resamples, "level": params.evaluate.level, "rng": rng}


def compare_variants(params: Params, variants: Sequence[EvaluatedVariant]) -> list[dict[str, Any]]:
    """Compare every two variants at equal prompts and seeds: the later one's share minus the earlier one's."""
    comparisons, roles = [], suite_roles(params, variants[0])
    with_strength = [suite for suite in roles if is_judged("strength", suite, variants[0])]
    for metric in list_compared(roles, with_strength):
        name, suite = metric.split("@")
        if not is_judged(name, suite, variants[0]):
            continue
        for reference, variant in combinations(variants, 2):
            ours, theirs = variant.column(suite, name), reference.column(suite, name)
            compared = compare_hits(params, metric, ours, theirs, variant.column(suite, "prompt"))
            comparisons.append({"metric": metric, "row": variant.name, "against": reference.name} | compared)
    return correct_comparisons(comparisons)


def compare_hits(
    params: Params, metric: str, ours: np.ndarray, theirs: np.ndarray, prompts: np.ndarray
) -> dict[str, Any]:
    """Compare two rows in a share: our hits minus theirs (bools (N,)) on the same pictures, with McNemar's p-value."""
    settings = bootstrap_settings(params, "difference", metric)
    interval = rounded(difference_interval(ours.astype(int) - theirs.astype(int), prompts, **settings))
    return {"difference": interval.pop("value")} | interval | {"p": mcnemar(ours, theirs)}


def correct_comparisons(comparisons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the comparisons with `p_holm`, the p-value corrected over all of them."""
    adjusted = holm([comparison["p"] for comparison in comparisons])
    return [{**comparison, "p_holm": p} for comparison, p in zip(comparisons, adjusted, strict=True)]


def rounded(interval: Interval) -> dict[str, Any]:
    """Return an interval as it stands in `evaluation.json`."""
    return {
        key: value if key == "n" else float(np.round(value, _DECIMALS)) + 0.0 for key, value in asdict(interval).items()
    }


_PER_VARIANT = ("row", "weights_sha256", "attacks")
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
        "suites": {suite: spec.model_dump(mode="json") for suite, spec in evaluate.suites.items()},
        "attacks": {name: spec.model_dump(mode="json") for name, spec in params.attacks.items()},
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
            "method": "two-stage bootstrap over prompts (attacks with several attackers: over those) and their "
            "seeds, percentiles; Wilson's where a share is 0 or 1; for kid the basic interval from the same "
            "resamples; for variety and kinds the jackknife over prompts",
        },
        "tests": {"test": "exact McNemar, two-sided", "correction": "Holm over all comparisons"},
    }
