"""Stage 2: a feedback file, checked against the manifest of the candidates, becomes labels (method, section 2)."""

import warnings
from collections import Counter
from dataclasses import asdict
from typing import Any

from hfi_core.candidates.manifest import read_manifest
from hfi_core.errors import UserError
from hfi_core.feedback.aggregation import AGGREGATIONS, make_binary_labels
from hfi_core.feedback.agreement import CONFIDENCE_LEVEL
from hfi_core.feedback.labels import write_labels
from hfi_core.feedback.ledger import open_ledger
from hfi_core.feedback.ranking import BRADLEY_TERRY, count_comparisons, make_ranking_labels
from hfi_core.feedback.statistics import AnnotatorStatistics, check_agreement, compute_statistics
from hfi_core.io.atomic import atomic_folder
from hfi_core.io.hashing import sha256_of_file
from hfi_core.metrics.intervals import Interval
from hfi_core.pipeline.stage import StageContext

_DECIMALS = 6


def run(context: StageContext) -> dict[str, float]:
    """Write labels.jsonl, for rankings pairs.jsonl, and summary.json of the concept `unit`.

    Warns if annotators agree less than params ask for. Warns of judgements in the live store whose pictures were
    removed or redrawn later: these judgements do not count.

    Raises UserError, which names file, line, field and remedy, at the first mistake in the feedback, or if annotators
    agree less than params allow.
    """
    params, inputs, unit = context.params, context.inputs, context.unit
    kind, feedback = params.concepts[unit].feedback, params.feedback
    candidates = {candidate.id: candidate for candidate in read_manifest(inputs["candidates"])}
    with open_ledger(inputs["feedback"], unit, kind, candidates, live=feedback.store) as ledger:
        statistics = compute_statistics(ledger, kind)
        if kind == "binary":
            pairs = None
            labels = make_binary_labels(ledger, feedback.labels, candidates, feedback.minimum, *feedback.held_out)
        else:
            comparisons = count_comparisons(ledger.rankings())
            pairs = comparisons.pairs
            labels = make_ranking_labels(comparisons, candidates, feedback.minimum, *feedback.held_out)
    totals = statistics.totals
    if totals.stale:
        warnings.warn(
            f"{unit}: {totals.stale} judgement{'s' if totals.stale > 1 else ''} on pictures that were removed or "
            "redrawn since do not count.",
            UserWarning,
            stacklevel=2,
        )
    if not labels:
        raise UserError(
            f"{inputs['feedback']}: no picture of {unit!r} has the {feedback.minimum} judgements (one of them an "
            "answer) that feedback.minimum asks for. Have more pictures judged, or lower feedback.minimum."
        )
    warning = check_agreement(statistics, feedback.agreement, unit, inputs["feedback"])
    if warning:
        warnings.warn(warning, UserWarning, stacklevel=2)
    share = sum(label.label for label in labels) / len(labels) if kind == "binary" else None
    summary: dict[str, Any] = {
        "concept": unit,
        "kind": kind,
        "aggregation": AGGREGATIONS[feedback.labels] if kind == "binary" else BRADLEY_TERRY,
        "simulated": totals.simulated,
        "candidates": len(candidates),
        "pictures": len(labels),
        # Without pictures for a judge, the bytes are those of labels from before there was such a part.
        "parts": {"learn": 0, "attack": 0, **Counter(label.part for label in labels)},
        "judgements": totals.judgements,
        "superseded": totals.superseded,
        "stale": totals.stale,
        "annotators": totals.annotators,
        "cant_tell": statistics.cant_tell,
        "agreement": {name: interval and interval.value for name, interval in statistics.agreement.items()},
        "agreement_intervals": {name: _rounded(interval) for name, interval in statistics.agreement.items()},
        "interval_level": CONFIDENCE_LEVEL,
        "by_annotator": {name: _figures(one, kind) for name, one in statistics.annotators.items()},
        "warning": warning,
        "feedback_sha256": sha256_of_file(inputs["feedback"]),
        "objectionable_share": share,
    }
    with atomic_folder(context.outputs["labels"]) as folder:
        write_labels(folder, labels, pairs, summary)
    figures = {
        "pictures": len(labels), "judgements": totals.judgements, "stale": totals.stale,
        "annotators": totals.annotators, "cant_tell": statistics.cant_tell,
        "objectionable_share": share, **summary["agreement"],
    }  # fmt: skip
    return {name: float(value) for name, value in figures.items() if value is not None}


def _figures(annotator: AnnotatorStatistics, kind: str) -> dict[str, Any]:
    """Return the summary of one annotator, without times, so that equal answers give equal bytes."""
    counts = {"judgements": annotator.judgements, "cant_tell": annotator.cant_tell}
    if kind == "ranking":
        return counts
    table = annotator.confusion
    shares = {"accuracy": table.accuracy, "yes_found": table.yes_found, "no_found": table.no_found}
    return counts | {"confusion": asdict(table)} | {name: _rounded(interval) for name, interval in shares.items()}


def _rounded(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {key: value if key == "n" else round(value, _DECIMALS) for key, value in asdict(interval).items()}
