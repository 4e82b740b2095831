"""`hfi feedback stats`: print figures on the judgements and their agreement."""

from pathlib import Path
from typing import Annotated

import typer


def stats(
    concept: Annotated[str | None, typer.Argument(help="One concept's name in params.yaml; all without it.")] = None,
) -> None:
    """Print how many judgements there are, how far people agree, and each annotator's answers against the others'.

    Reads the feedback file in params.yaml; with the live store, that is the latest snapshot.
    """
    from flows.runtime.console import info, out
    from hfi_core.candidates.manifest import read_manifest
    from hfi_core.feedback.ledger import open_ledger
    from hfi_core.feedback.reader import read_judgements
    from hfi_core.feedback.statistics import compute_statistics
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import CANDIDATES, PARAMS

    params = load_params(PARAMS)
    if concept is not None:
        params.concept(concept)
    file = Path(params.feedback.file)
    judged_concepts = {judgement.concept for _, judgement in read_judgements(file)}
    for name in [concept] if concept else params.concepts:
        if name not in judged_concepts:
            info(f"{name}: no judgements in {file}.\n")
            continue
        kind = params.concepts[name].feedback
        candidates = {candidate.id: candidate for candidate in read_manifest(CANDIDATES / name)}
        with open_ledger(file, name, kind, candidates, live=params.feedback.store) as ledger:
            statistics = compute_statistics(ledger, kind)
        out.print(_summary(name, statistics, params))
        out.print(_annotators(statistics))
        if kind == "binary":
            info("Others: the majority of the other annotators. yn: yes, where the others say no. Intervals: 95 %.")
        if statistics.totals.simulated:
            info("These judgements are simulated: no person gave them.")
        info("")


def _summary(name: str, statistics, params):
    """Make a table with a line per figure."""
    from rich.table import Table

    from hfi_core.feedback.statistics import DECIDING_MEASURE, MEASURE_NAMES, MEASURE_UNITS

    totals, kind = statistics.totals, statistics.kind
    simulated = " (simulated)" if totals.simulated else ""
    table = Table(title=f"{name}: {kind} feedback{simulated}", title_justify="left", box=None, show_header=False)
    corrected = f" ({totals.superseded} more were corrected)" if totals.superseded else ""
    table.add_row("judgements", f"{totals.judgements} by {totals.annotators}{corrected}")
    if totals.stale:
        table.add_row("do not count", f"{totals.stale} on pictures that were removed or redrawn since")
    table.add_row("pictures", f"{statistics.pictures}")
    table.add_row("cannot be placed" if kind == "ranking" else "can't tell", f"{statistics.cant_tell}")
    for measure, interval in statistics.agreement.items():
        is_deciding = measure == DECIDING_MEASURE[kind]
        if interval is None and not is_deciding:
            continue
        is_low = is_deciding and interval is not None and interval.value < params.feedback.agreement.warn_below
        below = f", below feedback.agreement.warn_below {params.feedback.agreement.warn_below:g}" if is_low else ""
        unit_count = f" over {interval.n} {MEASURE_UNITS[measure]}" if interval else ""
        table.add_row(MEASURE_NAMES[measure], _share(interval) + unit_count + below, style="yellow" if is_low else None)
    table.add_row("median time", _seconds(statistics.seconds))
    return table


def _annotators(statistics):
    """Make a table with a line per annotator; for binary feedback against the majority of the others."""
    from rich.markup import escape
    from rich.table import Table

    binary = statistics.kind == "binary"
    columns = ["annotator", "judgements", "can't tell" if binary else "not placed"]
    columns += ["agrees with others", "agrees on yes", "agrees on no", "yy yn ny nn"] if binary else []
    table = Table(*columns, "median time", box=None, pad_edge=False)
    for name, annotator in statistics.annotators.items():
        cells = [escape(name), str(annotator.judgements), str(annotator.cant_tell)]
        if binary:
            counts = annotator.confusion
            cells += [_share(counts.accuracy), _share(counts.yes_found), _share(counts.no_found)]
            cells.append(f"{counts.yes_yes} {counts.yes_no} {counts.no_yes} {counts.no_no}")
        table.add_row(*cells, _seconds(annotator.seconds))
    return table


def _share(interval) -> str:
    return "undefined" if interval is None else f"{interval.value:.3f} [{interval.low:.2f}, {interval.high:.2f}]"


def _seconds(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.1f} s"
