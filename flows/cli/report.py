"""`hfi report`: print the comparison table, and what people say of rows."""

from collections.abc import Iterable, Sequence


def report() -> None:
    """Print the comparison table and the path of the report with pictures."""
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    print_report(load_params(PARAMS))


def print_report(params) -> None:
    """Print the table of `reports/evaluation.json`, and the path of the report."""
    from flows.runtime.console import info, out
    from hfi_core.evaluation.records import read_evaluation
    from hfi_core.pipeline.layout import EVALUATION, REPORT_PAGE
    from hfi_core.report.findings import list_uncalibrated
    from hfi_core.report.people import describe_people

    info(f"\nRows of {EVALUATION}, as value [low, high]:")
    out.print(comparison_table())
    evaluation = read_evaluation(EVALUATION)
    if "people" in evaluation:
        people = describe_people(evaluation)
        info(f"\n{people['summary']}")
        out.print(_make_table(zip(people["header"], *people["lines"], strict=True)))
    for sentence in list_uncalibrated(evaluation):
        info(sentence)
    if params.feedback.simulated:
        info("The feedback behind these figures is simulated.")
    info(f"Report:  {REPORT_PAGE} (one file with its pictures; open it in a browser)")


_MOST_COLUMNS = 8
"""Rows of params that a terminal can show side by side."""
_FIRST_FIGURES = 3


def comparison_table():
    """Return the comparison as a table for a terminal: a line for each figure, a column for each row of params.

    Many rows would not fit side by side. Then each has a line, with the first figures only.
    """
    from hfi_core.evaluation.records import read_evaluation
    from hfi_core.pipeline.layout import EVALUATION
    from hfi_core.report.table import build_comparison_table

    lines = build_comparison_table(read_evaluation(EVALUATION))
    if len(lines) > 1 + _MOST_COLUMNS:
        return _make_table(line[: 1 + _FIRST_FIGURES] for line in lines)
    return _make_table(zip(*lines, strict=True))


def _make_table(lines: Iterable[Sequence[str]]):
    from rich.table import Table

    header, *body = lines
    table = Table(*header, box=None, pad_edge=False)
    for cells in body:
        table.add_row(*cells)
    return table
