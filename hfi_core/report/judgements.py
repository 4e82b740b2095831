"""What the page says of the judgements themselves: how far people agree, and each annotator beside the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfi_core.feedback.bars import MEASURES, UNITS

_SHARES = {"accuracy": "as the others", "yes_found": "their yes found", "no_found": "their no found"}


@dataclass(frozen=True)
class Judgements:
    """Words for the page, of one concept."""

    agreement: list[tuple[str, str]]
    """Measure, and value with interval."""
    warning: str | None
    header: list[str]
    annotators: list[list[str]]
    """A row an annotator."""


def judgements_of(summary: Mapping[str, Any]) -> Judgements:
    """From a concept's `labels/CONCEPT/summary.json`."""
    ranked = summary["kind"] == "ranking"
    agreement = [
        (MEASURES[name], f"{_words(interval)}, over {interval['n']} {UNITS[name]}")
        for name, interval in summary["agreement_intervals"].items()
        if interval is not None
    ]
    shares = {} if ranked else _SHARES
    rows = [
        [name, str(figures["judgements"]), str(figures["cant_tell"]), *(_words(figures[share]) for share in shares)]
        for name, figures in summary["by_annotator"].items()
    ]
    header = ["annotator", "judgements", "not placed" if ranked else "can't tell", *shares.values()]
    return Judgements(agreement, summary["warning"], header, rows)


def _words(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return "–"
    return f"{interval['value']:.3f} [{interval['low']:.2f}, {interval['high']:.2f}]"
