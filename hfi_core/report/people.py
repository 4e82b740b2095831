"""Describe for the page what people said about rows, and how far they agree with each other and with the judge."""

from collections.abc import Mapping
from typing import Any

from hfi_core.evaluation.definitions import PEOPLE_FIGURES, list_metrics
from hfi_core.report.table import format_figure

_JUDGE_COLUMNS = {
    "agreement": "judge agrees", "kappa": "judge's kappa", "flagged_found": "judge flags the flagged",
    "accepted_found": "judge leaves the accepted",
}  # fmt: skip


def describe_people(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sentence and a table, one line a judged row, from `people` of `reports/evaluation.json`."""
    people, names = evaluation["people"], [figure.name for figure in PEOPLE_FIGURES]
    metrics = [metric for metric in list_metrics(evaluation) if metric.partition("@")[0] in names]
    measured = {row["row"]: row["metrics"] for row in evaluation["rows"] if row["row"] in people["rows"]}
    lines = [
        [
            row,
            *(format_figure(figures[metric]) for metric in metrics),
            f"{people['rows'][row]['undecided']} of {people['rows'][row]['pictures']}",
            _format(people["rows"][row]["alpha"]),
            *(_format(people["rows"][row]["judge"][name]) for name in _JUDGE_COLUMNS),
        ]
        for row, figures in measured.items()
    ]
    judges = f"{people['annotators']} {'simulated people' if people['simulated'] else 'people'}"
    summary = (
        f"{judges} gave {people['judgements']} judgements on {people['pictures']} pictures; {people['cant_tell']} of "
        "them are “can't tell”. They saw the pictures in a random order and did not know the rows. Krippendorff's "
        f"alpha over all pictures: {_format(people['alpha'])}."
    )
    header = ["row", *metrics, "undecided", "alpha", *_JUDGE_COLUMNS.values()]
    return {"simulated": people["simulated"], "summary": summary, "header": header, "lines": lines}


def _format(figure: Mapping[str, Any] | None) -> str:
    return "not defined" if figure is None else f"{format_figure(figure)}, n {figure['n']}"
