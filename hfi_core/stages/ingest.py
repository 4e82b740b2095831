"""Stage `ingest`: a feedback file, held against the manifest, becomes labels (method.md, section 2)."""

from collections.abc import Mapping
from pathlib import Path

from hfi_core.candidates import read_manifest
from hfi_core.errors import UserError
from hfi_core.feedback.aggregate import (
    BRADLEY_TERRY,
    SHARE_OF_VOTES,
    compare,
    positions,
    share_of_votes,
    shared_sets,
    vote_counts,
)
from hfi_core.feedback.agreement import krippendorff_alpha, mean_kendalls_w
from hfi_core.feedback.labels import write_labels
from hfi_core.feedback.ledger import open_ledger
from hfi_core.files import sha256_of_file, whole_folder
from hfi_core.params import Params
from hfi_core.stage import Progress, silent


def run(
    params: Params,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    unit: str = "",
    work: Path | None = None,
    progress: Progress = silent,
) -> dict[str, float]:
    """Write labels.jsonl, for rankings pairs.jsonl, and summary.json of the concept `unit`.

    Raises UserError that names file, line, field and remedy of the first mistake in the feedback.
    """
    kind, minimum, held_out = params.concepts[unit].feedback, params.feedback.minimum, params.attack.held_out
    candidates = {candidate.id: candidate for candidate in read_manifest(inputs["candidates"])}
    alpha = w = None
    with open_ledger(inputs["feedback"], unit, kind, candidates) as ledger:
        totals = ledger.totals()
        if kind == "binary":
            pairs = None
            labels = share_of_votes(ledger.tallies(), candidates, minimum, held_out)
            alpha = krippendorff_alpha(vote_counts(ledger.tallies()))
            cant_tell = sum(tally.cant_tell for tally in ledger.tallies())
        else:
            comparisons = compare(ledger.orders())
            pairs = comparisons.pairs
            labels = positions(comparisons, candidates, minimum, held_out)
            w = mean_kendalls_w(shared_sets(ledger.orders()))
            cant_tell = comparisons.not_applicable.total()
    if not labels:
        raise UserError(
            f"{inputs['feedback']}: no picture of {unit!r} has the {minimum} judgements (one of them an answer) that "
            "feedback.minimum asks for. Have more pictures judged, or lower feedback.minimum."
        )
    share = sum(label.label for label in labels) / len(labels) if kind == "binary" else None
    parts = [label.part for label in labels]
    summary = {
        "concept": unit,
        "kind": kind,
        "aggregation": SHARE_OF_VOTES if kind == "binary" else BRADLEY_TERRY,
        "simulated": totals.simulated,
        "candidates": len(candidates),
        "pictures": len(labels),
        "parts": {"learn": parts.count("learn"), "attack": parts.count("attack")},
        "judgements": totals.judgements,
        "superseded": totals.superseded,
        "annotators": totals.annotators,
        "cant_tell": cant_tell,
        "agreement": {"krippendorff_alpha": alpha, "kendalls_w": w},
        "feedback_sha256": sha256_of_file(inputs["feedback"]),
        "objectionable_share": share,
    }
    with whole_folder(outputs["labels"]) as folder:
        write_labels(folder, labels, pairs, summary)
    figures = {
        "pictures": len(labels), "judgements": totals.judgements, "annotators": totals.annotators,
        "cant_tell": cant_tell, "objectionable_share": share, "krippendorff_alpha": alpha, "kendalls_w": w,
    }  # fmt: skip
    return {name: float(value) for name, value in figures.items() if value is not None}
