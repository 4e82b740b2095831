"""The figures on prompts that nothing was trained on, where a suite has prompts that something was trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfi_core.evaluation.definitions import COMPARED, metrics_on
from hfi_core.evaluation.measure import bootstrap_settings, rounded, suite_roles
from hfi_core.evaluation.records import EvaluatedVariant, is_judged
from hfi_core.metrics.intervals import share_interval
from hfi_core.params import Params


def list_trained_prompts(params: Params) -> set[str]:
    """Return the prompts of all concepts, and those that rows preserve, without outer spaces and in small letters.

    Candidates are drawn of a concept's prompts, tokens are inverted in them, and removals learn on them.
    """
    prompts = [prompt for concept in params.concepts.values() for prompt in concept.prompts]
    prompts += [prompt for row in params.removals.values() for prompt in getattr(row, "preserved", ())]
    return {prompt.strip().lower() for prompt in prompts}


def measure_unseen(params: Params, variants: Sequence[EvaluatedVariant]) -> dict[str, Any]:
    """Return `unseen` of `evaluation.json`: by suite how many prompts were trained on, by row the shares on the others.

    Empty if no prompt of a suite was trained on. A suite of trained prompts alone has no figures here.
    """
    known, roles = list_trained_prompts(params), suite_roles(params, variants[0])
    suites, unseen = {}, {}
    for suite in roles:
        prompts = variants[0].column(suite, "prompt").tolist()
        trained = {prompt for prompt in prompts if prompt.strip().lower() in known}
        if trained:
            suites[suite] = {"prompts": len(set(prompts)), "trained": len(trained)}
            unseen[suite] = np.array([prompt not in trained for prompt in prompts])
    if not suites:
        return {}
    rows: dict[str, dict[str, Any]] = {variant.name: {} for variant in variants}
    for metric in metrics_on(COMPARED, {suite: roles[suite] for suite in suites}):
        name, suite = metric.split("@")
        if not unseen[suite].any() or not is_judged(name, suite, variants[0]):
            continue
        for variant in variants:
            hits, prompts = (variant.column(suite, field)[unseen[suite]] for field in (name, "prompt"))
            settings = bootstrap_settings(params, "unseen", metric)
            rows[variant.name][metric] = rounded(share_interval(hits, prompts, **settings))
    return {"suites": suites, "rows": rows}
